"""The schedule as a Chrome trace, which Perfetto and chrome://tracing open.

A process is a chip, a thread a core, where several when its crossbar does several things at once; digital steps, and
control steps that span others, have a process of their own. Complete events say when a step holds a core, flow events
lead from what made rows to what waited for them, counters tell how many tiles work. Times are microseconds.
(Format: "Trace Event Format", Google, 2016.)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil
from typing import Any

from mho.targets.errors import OptionError, brief, plain
from mho.targets.mapping import Slot
from mho.targets.program import Program
from mho.targets.steps import Analog, Digital, Recurrent, layers, walk

MOST_CORES = 4_000
"""Where a program has more cores, or would have more events than MOST_EVENTS, a thread is a layer on a chip."""

MOST_EVENTS = 60_000
MOST_INFERENCES = 8

DIGITS = 6
ROUNDING_US = 2 * 10.0**-DIGITS
PHASES = "MXCsf"
"""Phases of events in the order in which those of one moment stand."""

Event = dict[str, Any]


def trace_text(program: Program) -> str:
    """The trace as JSON, an event a line.

    Raises:
        OptionError: the program has no schedule.
    """
    if program.reload is not None:
        raise OptionError(
            f"{plain(program.manifest.model)} has no schedule to show: its tiles take turns, so its layers fire one "
            "after the other; for a trace compile it for more tiles (--chips, --tiles)"
        )
    if not program.mapping.schedule:
        raise OptionError(
            f"{plain(program.manifest.model)} has no schedule to show: nobody published how long an MVM of "
            f"{plain(program.target.name)} takes; give costs.mvm_latency_ns in a machine file and compile anew"
        )
    trace = Trace(program)
    events = ",\n".join(json.dumps(event) for event in trace.events())
    other = json.dumps(trace.facts())
    return f'{{"displayTimeUnit": "ns",\n"otherData": {other},\n"traceEvents": [\n{events}\n]}}\n'


@dataclass(frozen=True)
class Place:
    """Where a step holds something: a thread of a process, and how many tiles that is.

    Attributes:
        replicas: the copies of its matrices that are there.
    """

    process: int
    name: str
    tiles: int = 0
    replicas: tuple[int, ...] = ()


@dataclass
class _Threads:
    """Numbers of threads; a place has as many as it needs for events that overlap."""

    ends: dict[tuple[int, str], list[float]] = field(default_factory=dict)
    numbers: dict[tuple[int, str, int], int] = field(default_factory=dict)

    def of(self, place: Place, start: float, end: float) -> tuple[int, float]:
        """The first thread of a place that is free from `start` on, but for rounding, and from when on it is.

        Events come in the order of their starts.
        """
        taken = self.ends.setdefault((place.process, place.name), [])
        track = next((one for one, until in enumerate(taken) if until <= start + ROUNDING_US), len(taken))
        begin = max([start, *taken[track : track + 1]])
        taken[track:] = [max(begin, end), *taken[track + 1 :]]
        return self.numbers.setdefault((place.process, place.name, track), len(self.numbers) + 1), begin


@dataclass(frozen=True)
class Trace:
    """What is shown of a program."""

    program: Program

    @property
    def slots(self) -> tuple[Slot, ...]:
        return self.program.mapping.schedule

    @cached_property
    def inferences(self) -> int:
        """One, or in a pipeline as many as show it full, as far as there is room for their events."""
        interval = self.program.mapping.costs.interval_ns
        if self.program.mapping.timing.mode == "latency" or not interval:
            return 1
        wanted = ceil(max(slot.end_ns for slot in self.slots) / interval) + 1
        room = MOST_EVENTS // max(1, sum(len(self.places[slot.step]) + 2 * len(slot.needs) for slot in self.slots))
        return max(2, min(wanted, MOST_INFERENCES, room))

    @cached_property
    def coarse(self) -> bool:
        """Whether a thread is a layer on a chip."""
        loads = sum(len(core.loads) for core in self.program.cores)
        return len(self.program.cores) > MOST_CORES or loads > MOST_EVENTS // 2

    @cached_property
    def digital(self) -> int:
        """The process of what no chip holds."""
        return self.program.mapping.chips

    @cached_property
    def places(self) -> Mapping[str, tuple[Place, ...]]:
        """Step → where it is."""
        held = self._by_layer() if self.coarse else self._by_core()
        kinds = {step.name: step for step in walk(self.program.sequence) if not isinstance(step, Digital)}
        found: dict[str, tuple[Place, ...]] = {}
        for slot in self.slots:
            step = kinds.get(slot.step)
            name = slot.unit or ("digital steps" if step is None else "branches and loops")
            elsewhere = (Place(self.digital, name),)
            found[slot.step] = held.get(slot.step, elsewhere) if isinstance(step, Analog | Recurrent) else elsewhere
        return found

    @cached_property
    def _steps_of(self) -> Mapping[str, tuple[str, ...]]:
        """Matrix → the steps that fire it."""
        found: dict[str, dict[str, None]] = {}
        for layer in layers(self.program.sequence):
            found.setdefault(layer.matrix, {})[layer.step] = None
        return {matrix: tuple(steps) for matrix, steps in found.items()}

    def _by_core(self) -> dict[str, tuple[Place, ...]]:
        found: dict[str, list[Place]] = {}
        for core in self.program.cores:
            copies: dict[str, set[int]] = {}
            for load in core.loads:
                for step in self._steps_of.get(load.matrix, ()):
                    copies.setdefault(step, set()).add(load.replica)
            for step, replicas in copies.items():
                place = Place(core.site.chip, f"core {core.site.x},{core.site.y}", 1, tuple(sorted(replicas)))
                found.setdefault(step, []).append(place)
        return {step: tuple(places) for step, places in found.items()}

    def _by_layer(self) -> dict[str, tuple[Place, ...]]:
        tiles: dict[tuple[str, int], int] = {}
        for core in self.program.cores:
            for step in dict.fromkeys(s for load in core.loads for s in self._steps_of.get(load.matrix, ())):
                tiles[step, core.site.chip] = tiles.get((step, core.site.chip), 0) + 1
        found: dict[str, list[Place]] = {}
        for (step, chip), count in tiles.items():
            found.setdefault(step, []).append(Place(chip, brief(step), count))
        return {step: tuple(places) for step, places in found.items()}

    def facts(self) -> dict[str, Any]:
        """What stands beside the events."""
        mapping, timing = self.program.mapping, self.program.mapping.timing
        note = f"above {MOST_CORES} cores a thread is a layer on a chip, not a core" if self.coarse else ""
        return {
            "model": self.program.manifest.model,
            "machine": self.program.target.title,
            "mode": timing.mode,
            "overlap": timing.overlap,
            "inferences": self.inferences,
            "latency_us": _us(mapping.costs.latency_ns or 0.0),
            "interval_us": _us(mapping.costs.interval_ns or 0.0),
            "latency_limit": timing.latency_limit,
            "interval_limit": timing.interval_limit,
            "not_counted": list(mapping.costs.excluded),
            **({"note": note} if note else {}),
        }

    def events(self) -> Iterator[Event]:
        """Names first, then everything in the order of time."""
        threads = _Threads()
        shown = sorted(
            (slot.start_ns + number * self._shift, order, number, slot)
            for order, slot in enumerate(self.slots)
            for number in range(self.inferences)
        )
        timed: list[Event] = []
        first: dict[tuple[str, int], Event] = {}
        for start, _, number, slot in shown:
            held = list(self._held(slot, number, start, threads))
            first[slot.step, number] = held[0]
            timed += held
        timed += self._flows(first)
        timed += self._counters()
        yield from self._names(threads)
        yield from sorted(timed, key=lambda event: (event["ts"], PHASES.index(event["ph"]), event["pid"], event["tid"]))

    @property
    def _shift(self) -> float:
        return self.program.mapping.costs.interval_ns or 0.0

    def _held(self, slot: Slot, number: int, start: float, threads: _Threads) -> Iterator[Event]:
        end = _us(start + slot.busy_until_ns - slot.start_ns)
        for place in self.places[slot.step]:
            thread, begin = threads.of(place, _us(start), end)
            args: dict[str, Any] = {"inference": number, "rows": slot.rows}
            if slot.step in self._matrices_of:
                args |= {"matrices": self._matrices_of[slot.step], "tiles": place.tiles}
            if place.replicas:
                args["replicas"] = list(place.replicas)
            yield {
                "name": brief(slot.step),
                "cat": "step",
                "ph": "X",
                "ts": begin,
                "dur": max(0.0, round(end - begin, DIGITS)),
                "pid": place.process,
                "tid": thread,
                "args": args,
            }

    @cached_property
    def _matrices_of(self) -> Mapping[str, list[str]]:
        """Step → the matrices that it fires."""
        found: dict[str, list[str]] = {}
        for layer in layers(self.program.sequence):
            found.setdefault(layer.step, []).append(brief(layer.matrix))
        return found

    def _flows(self, first: Mapping[tuple[str, int], Event]) -> Iterator[Event]:
        """From the first rows that a step waited for to its beginning."""
        count = 0
        made = {slot.step: slot for slot in self.slots}
        for slot in self.slots:
            for need in slot.needs if slot.end_ns > 0 else ():
                source = made[need.step]
                last = int(need.last(1, source.rows)[0])
                for number in range(self.inferences):
                    one, other = first[need.step, number], first[slot.step, number]
                    there = _us(float(source.results_ns()[last]) + number * self._shift) if last >= 0 else one["ts"]
                    flow = {"name": "rows", "cat": "needs", "id": (count := count + 1)}
                    leaves = max(one["ts"], min(there, one["ts"] + one["dur"], other["ts"]))
                    yield {**flow, "ph": "s", "ts": leaves, "pid": one["pid"], "tid": one["tid"]}
                    yield {**flow, "ph": "f", "bp": "e", "ts": other["ts"], "pid": other["pid"], "tid": other["tid"]}

    def _counters(self) -> Iterator[Event]:
        """Tiles that work, chip by chip."""
        changes: dict[int, dict[float, int]] = {}
        for slot in self.slots:
            for place in self.places[slot.step]:
                for number in range(self.inferences) if place.tiles else ():
                    shift = number * self._shift
                    chip = changes.setdefault(place.process, {})
                    for moment, step in ((slot.start_ns, place.tiles), (slot.busy_until_ns, -place.tiles)):
                        at = _us(moment + shift)
                        chip[at] = chip.get(at, 0) + step
        for chip_number, steps in sorted(changes.items()):
            busy = 0
            for at, step in sorted(steps.items()):
                busy += step
                yield _event("C", "busy tiles", chip_number, at, {"tiles": busy})

    def _names(self, threads: _Threads) -> Iterator[Event]:
        chips = sorted({place for place, _, _ in threads.numbers})
        for process in chips:
            name = f"chip {process}" if process < self.digital else "beside the tiles"
            yield {"name": "process_name", "ph": "M", "pid": process, "tid": 0, "args": {"name": name}}
            yield {"name": "process_sort_index", "ph": "M", "pid": process, "tid": 0, "args": {"sort_index": process}}
        for place, ((process, name, track), number) in enumerate(sorted(threads.numbers.items())):
            shown = name if not track else f"{name} ({track + 1})"
            yield {"name": "thread_name", "ph": "M", "pid": process, "tid": number, "args": {"name": shown}}
            yield {"name": "thread_sort_index", "ph": "M", "pid": process, "tid": number, "args": {"sort_index": place}}


def _event(phase: str, name: str, process: int, at: float, args: dict[str, Any]) -> Event:
    return {"name": name, "ph": phase, "ts": at, "pid": process, "tid": 0, "args": args}


def _us(ns: float) -> float:
    return round(ns / 1000, DIGITS)
