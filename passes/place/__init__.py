"""Placement: tiles to chips and cores, words to links."""
