"""Calibration: the ranges of converters, set from data."""
