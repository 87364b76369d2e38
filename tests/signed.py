"""A program's file taken apart, changed, and signed again, as one would who means harm."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

Change = Callable[[dict[str, Any]], object]


def _parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def _file(header: dict[str, Any], data: bytes) -> bytes:
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % 64)
    return len(text).to_bytes(8, "little") + text + data


def with_header(content: bytes, change: Change) -> bytes:
    """The file with its header changed."""
    header, data = _parts(content)
    change(header)
    return _file(header, data)


def signed_again(content: bytes, change: Change) -> bytes:
    """The file with the document of its tensor `program` changed, and a digest that suits it."""
    header, data = _parts(content)
    texts = {name: data[slice(*header[name]["data_offsets"])] for name in ("manifest", "program")}
    document = json.loads(texts["program"])
    change(document)
    texts["program"] = json.dumps(document).encode()
    start = header["program"]["data_offsets"][0]
    end = start + len(texts["program"])
    assert header["program"]["data_offsets"][1] == len(data), "the document is the last tensor of a file"
    header["program"] |= {"shape": [len(texts["program"])], "data_offsets": [start, end]}
    tag = json.loads(header["__metadata__"]["mho"])
    tag["sha256"] = sha256(texts["manifest"] + b"\0" + texts["program"]).hexdigest()
    header["__metadata__"]["mho"] = json.dumps(tag)
    return _file(header, data[:start] + texts["program"])
