"""Weights that a graph computes from constants, written down as constants or recipes."""
