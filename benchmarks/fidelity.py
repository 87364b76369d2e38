"""Published numbers of the machines beside what mho computes: prints the table and writes benchmarks/fidelity.md.

    python benchmarks/fidelity.py

Every row says what it is: a check of numbers that were read apart, a figure that the model takes as its input, the same
fact as another row in other units, or something that what is public does not suffice to compute. Takes some minutes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import mho  # noqa: E402
from benchmarks.fidelity_devices import cell_rows, tile_rows  # noqa: E402
from benchmarks.fidelity_machines import analog34_rows, hermes64_rows, mesh2d_rows, training3t1c_rows  # noqa: E402
from benchmarks.fidelity_row import Row  # noqa: E402

HEAD = """# Fidelity: published numbers beside computed ones

Made by `python benchmarks/fidelity.py` with mho {version}. Nothing is tuned to make a row match. *Difference* is computed over published − 1.

The column *what it is* says how much a row proves. **check**: the two numbers were read or computed apart from each other. **input**: the
model takes the published number, or one from which it follows at once, so that a match says nothing. **same fact**: another row in other units.
**bound**: the computed number leaves out what nobody published, so it must lie below a time or an energy. **not computable**: what is
public does not suffice, and the note says what is missing; a number in the column *computed* is then what mho has instead.

*Certainty* is that of the published number: *published* was read in the publication or the vendor's own repository, *digest* in a third
party's digest, *arithmetic* follows from others.

"""


def rows() -> Iterator[Row]:
    yield from hermes64_rows()
    yield from analog34_rows()
    yield from mesh2d_rows()
    yield from training3t1c_rows()
    yield from cell_rows()
    yield from tile_rows()


def main() -> None:
    lines: list[str] = []
    machine = ""
    for row in rows():
        if row.machine != machine:
            machine = row.machine
            lines += [f"\n## {machine}\n", Row.HEAD]
            print(lines[-2])
        lines.append(row.markdown())
        print(row.text(), flush=True)
    page = HEAD.format(version=mho.__version__) + "\n".join(lines).lstrip() + "\n"
    (ROOT / "benchmarks" / "fidelity.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
