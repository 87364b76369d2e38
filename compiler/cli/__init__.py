"""The command line: `mho`. Each command is a thin layer over a function of the library."""

from __future__ import annotations

from mho.cli.main import main

__all__ = ["main"]
