"""The plot of accuracy over time: one panel a network and machine, mean and deviation over the seeds.

Part of `benchmarks/accuracy.py`; needs matplotlib, the extra `bench`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy_over_time import METHODS, TIMES_S, Results, Subject

COLOURS = dict(zip((m.name for m in METHODS), ("#6b6b6b", "#0072b2", "#d55e00", "#007a5e"), strict=True))
"""Of Okabe and Ito's palette, which stays apart for the colour-blind."""
MARKS = dict(zip(COLOURS, "osD^", strict=True))
PANELS_A_ROW = 3


def plot(subjects: list[Subject], results: Results, path: Path) -> None:
    """Writes an SVG with a background of its own, so that it can be read on a dark page; the same results, the same bytes."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams |= {"svg.hashsalt": "mho", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9}
    import matplotlib.pyplot as plt

    rows = -(-len(subjects) // PANELS_A_ROW)
    figure, grid = plt.subplots(
        rows, PANELS_A_ROW, figsize=(10, 2.9 * rows + 0.5), sharex=True, sharey=True, squeeze=False, facecolor="white"
    )
    for axes, subject in zip(grid.flat, subjects, strict=False):
        _panel(axes, subject, results)
    for axes in grid.flat[len(subjects) :]:
        axes.set_visible(False)
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=len(labels), frameon=False)
    figure.supylabel("top-1 accuracy (%)", fontsize=9)
    figure.supxlabel("time after programming", fontsize=9)
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.3 / (2.9 * rows + 0.5)))
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _panel(axes: Any, subject: Subject, results: Results) -> None:
    for name in COLOURS:
        found = {t: np.array(results.of(subject, name, t)) * 100 for t in TIMES_S.values()}
        times = [t for t, values in found.items() if values.size]
        mean, deviation = (np.array([f(found[t]) for t in times]) for f in (np.mean, np.std))
        axes.plot(times, mean, color=COLOURS[name], marker=MARKS[name], markersize=3.5, linewidth=1.4, label=name)
        axes.fill_between(times, mean - deviation, mean + deviation, color=COLOURS[name], alpha=0.18, linewidth=0)
    for kind, style in (("float", (0, (1, 1.5))), ("quantised", (0, (5, 2)))):
        for accuracy in results.of(subject, kind)[:1]:
            axes.axhline(100 * accuracy, color="black", linewidth=0.9, linestyle=style, label=kind)
    axes.set_title(f"{subject.network}\non {subject.machine}", fontsize=9)
    axes.set_xscale("log")
    axes.set_xticks(list(TIMES_S.values()), list(TIMES_S))
    axes.minorticks_off()
    axes.tick_params(labelbottom=True, labelleft=True)
    axes.set_ylim(0, 102)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
