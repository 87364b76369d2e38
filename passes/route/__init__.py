"""Routing: words to links."""
