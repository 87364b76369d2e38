"""Commands with their real output, as the pages show them."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from mho.examples import digits

LONGEST = 80
"""Lines of output; of a longer one the first half is shown, but for help, which is whole."""


def lay_out(folder: Path) -> None:
    """Puts the files of the packaged digits network into a folder to run commands in."""
    example = digits()
    for path in (example.model, example.test_data, example.calibration_data):
        shutil.copy(path, folder)


def block(command: str, folder: Path) -> str:
    """A command line, run in a folder, and what it prints, as a block of Markdown."""
    result = subprocess.run(
        _arguments(command),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"COLUMNS": "100"},
    )
    lines = [line.rstrip() for line in (result.stdout + result.stderr).splitlines()]
    if len(lines) > LONGEST and "--help" not in command:
        lines = [*lines[: LONGEST // 2], f"… {len(lines) - LONGEST // 2} more lines …"]
    code = f"\n(exit code {result.returncode})" if result.returncode else ""
    return f"```console\n$ {command}\n" + "\n".join(lines) + f"{code}\n```\n"


def _arguments(command: str) -> list[str]:
    """`mho` and `python` are those of the environment that runs this."""
    program, *rest = shlex.split(command)
    runs = {"mho": [sys.executable, "-m", "mho"], "python": [sys.executable]}
    return [*runs.get(program, [program]), *rest]
