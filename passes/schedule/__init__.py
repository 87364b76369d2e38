"""Scheduling: when steps run, and what that costs."""
