"""Packing: blocks into tiles, cut anew where that saves tiles."""
