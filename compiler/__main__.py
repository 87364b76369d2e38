"""`python -m mho`: the command line where the script `mho` is not on the path."""

from __future__ import annotations

from mho.cli import main

if __name__ == "__main__":
    main()
