"""Partitioning: tiles to chips."""
