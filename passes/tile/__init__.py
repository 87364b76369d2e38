"""Tiling: matrices cut into blocks that fit a crossbar, and the devices that make their weights."""
