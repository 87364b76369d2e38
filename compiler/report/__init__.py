"""Reports: a program as a summary in the terminal, as JSON with stable keys, and as one HTML page."""

from mho.report.summary import Report, summarise

__all__ = ["Report", "summarise"]
