"""Reloading: tiles that are rewritten between layers, where a network has more of them than its machine."""
