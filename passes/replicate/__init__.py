"""Copies: how often each matrix stands on the machine, so that several positions of a layer fire at once."""
