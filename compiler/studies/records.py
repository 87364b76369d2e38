"""`Records`: what a study has found so far, one file a finished point, so that it goes on where it stopped."""

from __future__ import annotations

import json
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from mho.data import sha256_of
from mho.studies.points import Figures
from mho.studies.tasks import Parcel
from mho.targets.errors import DataError, plain
from mho.targets.files import read_bounded, replacing

MOST_BYTES = 2**16


class Records:
    """A folder with `points/KEY.json` for every finished point and `programs/KEY.DIGEST.mho` for every program.

    Files appear whole or not at all; one that is damaged counts as none.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self) -> None:
        """Makes the folder.

        Raises:
            DataError: it cannot be made.
        """
        try:
            for name in ("points", "programs"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{plain(str(self.folder))} cannot be made: {error.strerror}") from error

    def figures(self, key: str) -> Figures | None:
        """What was found for a point; None where it is not finished."""
        try:
            return _ADAPTER.validate_python(json.loads(read_bounded(self._point(key), MOST_BYTES)))
        except (OSError, ValueError, ValidationError):
            return None

    def keep(self, key: str, figures: Figures) -> None:
        """Writes what was found for a point."""
        with replacing(self._point(key)) as file:
            file.write(json.dumps(asdict(figures), indent=1, allow_nan=False).encode() + b"\n")

    def program(self, key: str) -> Parcel | None:
        """A compiled program whose content is what its name says; None where there is none."""
        for path in sorted((self.folder / "programs").glob(f"{key}.*.mho")):
            digest = sha256_of(path)
            if path.name == f"{key}.{digest}.mho":
                return Parcel(digest, path)
        return None

    def keep_program(self, key: str, content: bytes) -> Parcel:
        """Writes a compiled program."""
        digest = sha256(content).hexdigest()
        path = self.folder / "programs" / f"{key}.{digest}.mho"
        with replacing(path) as file:
            file.write(content)
        return Parcel(digest, path)

    def _point(self, key: str) -> Path:
        return self.folder / "points" / f"{key}.json"


_ADAPTER = TypeAdapter(Figures)
