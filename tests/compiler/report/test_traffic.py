from __future__ import annotations

import json
from dataclasses import replace

from mho.report import summarise
from tests.compilations import digits_on
from tests.compiler.report.crowd import resnet9


def test_the_hottest_link_and_the_largest_buffer_are_told() -> None:
    program = digits_on("hermes64").program
    report = summarise(program)
    assert report.routes is not None and report.routes.hottest is not None
    assert report.buffers is not None
    most = max(link.words for link in program.mapping.links)
    assert report.routes.hottest.words == most
    assert report.routes.words == sum(link.words for link in program.mapping.links)
    hottest = report.routes.hottest
    assert f"links        hottest {hottest.source} → {hottest.target} with" in report.text()
    largest = max(core.memory.words for core in program.cores if core.memory)
    assert report.buffers.core_words == largest
    assert f"buffers      at most {largest:,} words a core" in report.text()
    assert f"hottest {hottest.source}" in report.html()
    document = json.loads(report.json())
    assert document["routes"]["hottest"]["words"] == most
    assert document["routes"]["mode"] == "xy"
    assert document["buffers"]["core_words"] == largest
    assert document["buffers"]["capacity"] is None


def test_programs_that_tell_neither_and_links_without_words() -> None:
    report = summarise(resnet9())
    assert (report.routes, report.buffers) == (None, None)
    assert "buffers" not in report.text()
    program = digits_on("hermes64").program
    silent = summarise(replace(program, mapping=replace(program.mapping, links=())))
    assert "no words between tiles" in silent.text()


def test_channels_and_trees_are_told() -> None:
    program = digits_on("hermes64").program
    assert program.mapping.routes is not None
    facts = replace(program.mapping.routes, mode="balanced", virtual_channels=2, multicast=True)
    line = str(summarise(replace(program, mapping=replace(program.mapping, routes=facts))).routes)
    assert line.endswith("; balanced ways, 2 virtual channels a link, multicast")
