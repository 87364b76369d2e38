"""What onnxruntime says, as a sentence for a user."""

from __future__ import annotations

import re

from mho.targets.errors import plain

_SOURCE = re.compile(r"/onnxruntime_src/\S+:\d+ [^()]*(?:\([^()]*\))? ?(?:const )?(?:\[with .*?\] )?")
"""A position in its source and the signature of a function there."""

_NOISE = (
    re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : "),
    re.compile(r"^Load model .*? failed:"),
    re.compile(r"^Exception during (?:initialization|loading): "),
    re.compile(r"^\S+\.(?:cc|h):\d+ \S+ "),
    re.compile(r"^This is an invalid model\. "),
    re.compile(r"^(?:Type )?Error: "),
)
_ASSERTION = re.compile(r"^.*? was false\. (?=\S)", re.DOTALL)
_IN_NODE = re.compile(r'^In Node, \("(?P<name>.*?)", (?P<op>\w+), .*, Error (?P<cause>.*)$', re.DOTALL)
_NODE = re.compile(r"^Node ?\((?P<name>.*?)\) Op ?\((?P<op>\w+)\) (?:\[\w+\] )?(?P<cause>.*)$", re.DOTALL)
_RUNNING = re.compile(
    r"^Non-zero status code returned while running (?P<op>\w+) node\. Name:'(?P<name>.*?)' "
    r"Status Message: (?P<cause>.*)$",
    re.DOTALL,
)
_TOO_NEW = re.compile(
    r"Opset (?P<opset>\d+) is under development.* for domain (?P<domain>\S+) is till opset (?P<newest>\d+)"
)


def explain(message: str) -> str:
    """What onnxruntime said as one sentence that begins with the node, without codes and source positions."""
    message = _SOURCE.sub("", message)
    for noise in _NOISE:
        message = noise.sub("", message, count=1)
    message = message.strip()
    if too_new := _TOO_NEW.search(message):
        return "opset {opset} of {domain} is newer than {newest}, the newest that is read.".format(
            **too_new.groupdict()
        )
    found = _IN_NODE.match(message) or _NODE.match(message) or _RUNNING.match(message)
    while found and (inner := _RUNNING.match(found["cause"])):
        found = inner
    cause = _ASSERTION.sub("", found["cause"] if found else message)
    if found:
        cause = f"node '{found['name']}' ({found['op']}): {cause}"
    return plain(cause.rstrip(". \n")) + "."


def names_node(sentence: str) -> bool:
    """Whether an explained message says which node it is about."""
    return sentence.startswith("node '")
