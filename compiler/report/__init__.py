"""Reports: a program as a summary in the terminal, as JSON with stable keys, and as one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from mho.report.json_document import as_json
from mho.report.placement import placement_text
from mho.report.summary import Report, summarise
from mho.report.terminal import accuracy_summary, compile_summary, explanation

__all__ = [
    "Report",
    "accuracy_summary",
    "as_json",
    "compile_summary",
    "explanation",
    "render",
    "summarise",
    "write_html",
]


def render(report: Report, kind: Literal["html", "json", "text", "placement"]) -> str:
    """The report as one HTML page, as a JSON document, as plain text of 80 columns, or as a placement to be edited."""
    match kind:
        case "html":
            return report.html()
        case "json":
            return report.json()
        case "text":
            return report.text()
        case "placement":
            return placement_text(report)


def write_html(report: Report, path: Path) -> None:
    """Writes the HTML page to a file, in UTF-8."""
    path.write_text(report.html(), encoding="utf-8")
