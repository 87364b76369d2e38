"""Reasons: why a node runs where it runs, in words, and what would change that."""
