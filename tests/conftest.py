"""What every test may ask for: the trained networks beside the checkout, and the switch that rewrites goldens."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.shell import Shell

SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the goldens instead of comparing with them")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of trained networks and published facts; the test is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the shared folder is not beside this checkout")
    return SHARED


class Golden:
    """Compares a text with the file of that name under tests/golden, or writes it with --update-golden."""

    def __init__(self, update: bool) -> None:
        self.update = update
        self.folder = Path(__file__).parent / "golden"

    def check(self, name: str, text: str) -> None:
        path = self.folder / name
        if self.update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"no golden {name}: run pytest with --update-golden and read what it wrote"
        assert text == path.read_text(encoding="utf-8")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    return Golden(request.config.getoption("--update-golden"))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    """A shell in the test's empty folder."""
    monkeypatch.chdir(tmp_path)
    return Shell(monkeypatch, capsys)
