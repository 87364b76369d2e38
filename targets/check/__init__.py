"""Checks of a program, without the compiler: what `mho check` looks at."""
