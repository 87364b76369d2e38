"""The trace by the rules of its format, read back as a viewer would read it."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from mho.report import trace
from mho.report.trace import trace_text
from mho.targets.errors import OptionError
from mho.targets.mapping import Need, Slot, Timing
from mho.targets.program import Program
from mho.targets.reload import Reload
from tests.compilations import digits_on
from tests.compiler.report.crowd import Shape, crowd, mobile, resnet9, stack

Event = dict[str, Any]

KEYS = {
    "X": {"name", "cat", "ph", "ts", "dur", "pid", "tid", "args"},
    "M": {"name", "ph", "pid", "tid", "args"},
    "C": {"name", "ph", "ts", "pid", "tid", "args"},
    "s": {"name", "cat", "ph", "id", "ts", "pid", "tid"},
    "f": {"name", "cat", "ph", "id", "ts", "pid", "tid", "bp"},
}


def read(program: Program) -> tuple[dict[str, Any], list[Event]]:
    """What stands beside the events, and the events, which keep the rules of the format."""
    document = json.loads(trace_text(program))
    assert set(document) == {"displayTimeUnit", "otherData", "traceEvents"}
    assert document["displayTimeUnit"] in ("ns", "ms")
    events: list[Event] = document["traceEvents"]
    for event in events:
        assert set(event) == KEYS[event["ph"]]
        assert isinstance(event["pid"], int) and isinstance(event["tid"], int)
        assert event.get("ts", 0) >= 0 and event.get("dur", 0) >= 0
    moments = [event["ts"] for event in events if event["ph"] != "M"]
    assert moments == sorted(moments)
    _threads(events)
    _flows(events)
    return document["otherData"], events


def _threads(events: list[Event]) -> None:
    """No two events of a thread overlap; every process and thread has one name."""
    names: dict[tuple[str, int, int], list[str]] = defaultdict(list)
    threads: dict[tuple[int, int], list[Event]] = defaultdict(list)
    for event in events:
        if event["ph"] == "M":
            names[event["name"], event["pid"], event["tid"]].append(str(event["args"]))
        elif event["ph"] == "X":
            threads[event["pid"], event["tid"]].append(event)
    assert all(len(given) == 1 for given in names.values())
    for (process, thread), held in threads.items():
        assert ("process_name", process, 0) in names and ("thread_name", process, thread) in names
        for one, other in pairwise(held):
            assert one["ts"] + one["dur"] <= other["ts"] + 1e-9


def _flows(events: list[Event]) -> None:
    """A flow begins inside one event and ends, no earlier, at the beginning of another."""
    held = {(e["pid"], e["tid"], e["ts"]): e for e in events if e["ph"] == "X"}
    starts = {e["id"]: e for e in events if e["ph"] == "s"}
    ends = {e["id"]: e for e in events if e["ph"] == "f"}
    assert starts.keys() == ends.keys()
    for number, end in ends.items():
        assert (end["pid"], end["tid"], end["ts"]) in held
        start = starts[number]
        assert start["ts"] <= end["ts"]
        inside = (e for e in held.values() if (e["pid"], e["tid"]) == (start["pid"], start["tid"]))
        assert any(e["ts"] <= start["ts"] <= e["ts"] + e["dur"] + 1e-9 for e in inside)


def steps(events: list[Event]) -> list[Event]:
    return [event for event in events if event["ph"] == "X"]


def test_a_compiled_network_layer_by_layer() -> None:
    program = digits_on("hermes64", "none", 2).program
    facts, events = read(program)
    assert (facts["mode"], facts["inferences"], facts["model"]) == ("latency", 1, "digits")
    assert facts["latency_us"] == pytest.approx((program.mapping.costs.latency_ns or 0.0) / 1000)
    shown = {event["name"]: event for event in steps(events)}
    assert shown.keys() == {slot.step for slot in program.mapping.schedule}
    conv = shown["conv1"]
    copies = [event["args"] for event in steps(events) if event["name"] == "conv1"]
    common = {"inference": 0, "rows": 8, "matrices": ["conv1"], "tiles": 1}
    assert sorted(copies, key=str) == [{**common, "replicas": [0]}, {**common, "replicas": [1]}]
    assert conv["dur"] == pytest.approx(program.mapping.costs.layers_ns["conv1"] / 1000)
    assert {event["args"]["name"] for event in events if event["name"] == "process_name"} == {
        "chip 0",
        "beside the tiles",
    }
    counts = [event["args"]["tiles"] for event in events if event["ph"] == "C"]
    assert counts[-1] == 0 and 0 < max(counts) <= len(program.cores)
    assert any(event["ph"] == "s" for event in events)


def test_inferences_of_a_pipeline_overlap() -> None:
    program = resnet9()
    pipelined = replace(program, mapping=replace(program.mapping, timing=Timing(mode="throughput")))
    facts, events = read(pipelined)
    assert 2 <= facts["inferences"] <= trace.MOST_INFERENCES
    first = [event for event in steps(events) if event["name"] == "conv1"]
    assert {event["args"]["inference"] for event in first} == set(range(facts["inferences"]))
    interval = (program.mapping.costs.interval_ns or 0.0) / 1000
    assert sorted({event["ts"] for event in first})[1] == pytest.approx(interval)
    ends = [max(e["ts"] + e["dur"] for e in steps(events) if e["args"]["inference"] == k) for k in (0, 1)]
    assert ends[0] > interval and ends[1] == pytest.approx(ends[0] + interval)


def test_layers_that_fire_at_once_in_a_core_have_threads_of_their_own() -> None:
    _, events = read(mobile())
    names = [event["args"]["name"] for event in events if event["name"] == "thread_name"]
    assert any(name.endswith("(2)") for name in names)


def test_many_cores_become_a_thread_a_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    program = stack(80)
    assert len(program.cores) > trace.MOST_CORES
    facts, events = read(program)
    assert "a thread is a layer on a chip" in facts["note"]
    assert len(steps(events)) < 1_000
    assert sum(e["args"].get("tiles", 0) for e in steps(events)) == len(program.cores)
    monkeypatch.setattr(trace, "MOST_CORES", 10**6)
    assert "note" not in read(stack(3))[0]


HOSTILE = '"},\n]}</script>\x1b[31m\ud800' + "x" * 10_000


def test_hostile_names_break_nothing() -> None:
    program = crowd((Shape(HOSTILE, 300, 300), Shape("b", 4, 4)), name=HOSTILE)
    needs = (Need(step=HOSTILE),)
    slots = tuple(replace(slot, needs=needs) if slot.step == "b" else slot for slot in program.mapping.schedule)
    text = trace_text(replace(program, mapping=replace(program.mapping, schedule=slots)))
    assert text.isascii() and "\x1b" not in text
    assert len(text) < 40_000
    _, events = read(program)
    assert {event["args"]["matrices"][0][:2] for event in steps(events) if "matrices" in event["args"]} == {"m/"}


def test_without_a_schedule_there_is_nothing_to_show() -> None:
    program = resnet9()
    with pytest.raises(OptionError, match=r"has no schedule to show: .* give costs\.mvm_latency_ns"):
        trace_text(replace(program, mapping=replace(program.mapping, schedule=())))


def test_a_program_that_rewrites_tiles_says_so() -> None:
    reload = Reload(
        mode="order", sites=(), order=(), inferences=1, writes=0, most_writes=0, cells=0.0, kept_words=0.0, segments=0.0
    )
    program = resnet9()
    with pytest.raises(OptionError, match="its tiles take turns"):
        trace_text(replace(program, reload=reload, mapping=replace(program.mapping, schedule=())))


def test_steps_that_take_no_time_are_there() -> None:
    program = resnet9()
    slots = tuple(Slot(step=slot.step, start_ns=0.0, end_ns=0.0) for slot in program.mapping.schedule)
    _, events = read(replace(program, mapping=replace(program.mapping, schedule=slots)))
    assert {event["name"] for event in steps(events)} == {slot.step for slot in slots}
