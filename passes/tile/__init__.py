"""Tiling: matrices cut into blocks, copied, and packed into tiles."""
