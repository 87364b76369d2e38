"""Verification: one check a level."""
