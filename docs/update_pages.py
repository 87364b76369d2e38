"""Runs the commands of documentation pages and puts their real output behind them.

    python docs/update_pages.py docs/machines/hermes64.md …

Every block that begins with ```console and `$ COMMAND` is run again, in the order of the page and in one temporary
folder with the files of the packaged digits network. Files of Python or TOML are made by the blocks themselves: one
that begins with `# file: NAME` is written to that name first.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from console import block, lay_out

BLOCK = re.compile(r"```(?:console\n\$ (?P<command>[^\n]+)\n.*?|\w+\n# file: (?P<name>\S+)\n(?P<text>.*?))```\n", re.S)


def update(page: Path) -> None:
    """Rewrites one page in place."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lay_out(folder)

        def renewed(found: re.Match[str]) -> str:
            if found["command"]:
                return block(found["command"], folder)
            (folder / found["name"]).write_text(found["text"], encoding="utf-8")
            return found[0]

        page.write_text(BLOCK.sub(renewed, page.read_text(encoding="utf-8")), encoding="utf-8")


def main() -> None:
    for name in sys.argv[1:]:
        update(Path(name))


if __name__ == "__main__":
    main()
