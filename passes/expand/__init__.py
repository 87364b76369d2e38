"""Expansion: a random matrix before a layer spreads its weights over more rows."""
