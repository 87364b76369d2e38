"""Placement: the tiles of every chip to its cores, so that words travel few links."""
