"""Emission: a plan written down as a program."""
