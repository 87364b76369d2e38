"""Where every block stands, as JSON that `mho compile --placement` reads; `mho.placement_file` tells its keys."""

from __future__ import annotations

import json
from typing import Any

from mho.report.lines import BlockLine, TileLine
from mho.report.summary import Report

SCHEMA = "mho-placement-1"


def placement_text(report: Report) -> str:
    """Where every block of a program stands, as JSON with a line a block."""
    head = {
        "schema": SCHEMA,
        "model": {"name": report.manifest.model, "digest": report.manifest.model_digest},
        "target": report.target.name,
    }
    lines = ",\n".join(f"  {json.dumps(_entry(tile, block))}" for tile in report.tiles for block in tile.blocks)
    return f'{json.dumps(head, indent=1)[:-2]},\n "blocks": [\n{lines}\n ]\n}}\n'


def _entry(tile: TileLine, block: BlockLine) -> dict[str, Any]:
    return {
        "layer": block.layer,
        "matrix": block.matrix,
        "replica": block.replica,
        "rows": [block.row_start, block.row_start + block.rows],
        "columns": [block.column_start, block.column_start + block.columns],
        "core": str(tile.site),
        "row_offset": block.row_offset,
        "column_offset": block.column_offset,
        "scale_rows": list(block.scale_rows),
    }
