"""The page: plots over what varies, bands over seeds, costs where they differ, and names that do no harm."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mho.studies.page import html_page
from mho.studies.plots import cost_plots, setting_plots
from mho.studies.points import Figures, Point
from tests.compiler.studies.outcomes import FIGURES, outcome

AXES = '[axes]\nadc_bits = [4, 8]\ntime = ["0s", "1d"]\nseed = [0, 1]\n'


def figures(point: Point) -> Figures:
    bits, seed = point.settings["adc_bits"], point.settings["seed"]
    assert isinstance(bits, int)
    assert isinstance(seed, int)
    return replace(FIGURES, accuracy=0.8 + 0.02 * bits + 0.01 * seed, tiles=bits, energy_nj=100.0 * bits)


def test_a_plot_for_each_setting_times_first_with_bands_over_seeds(tmp_path: Path) -> None:
    time, bits = setting_plots(outcome(tmp_path, AXES, figures))
    assert (time.across, bits.across) == ("time", "adc_bits")
    assert [tick.text for tick in time.ticks] == ["0 s", "1 d"]
    assert [series.name for series in time.series] == ["adc_bits 4", "adc_bits 8"]
    mark = time.series[0].marks[0]
    assert mark.low < mark.y < mark.high
    assert mark.text == "adc_bits 4 0 s: 88.50 % ± 0.50"
    assert time.note == "Mean of 2 runs over seeds; to each side one standard deviation over seeds."
    assert time.reference is not None
    assert bits.joined


def test_other_settings_do_not_widen_a_band(tmp_path: Path) -> None:
    axes = AXES + "out_noise = [0.0, 0.1]\n"

    def noisy(point: Point) -> Figures:
        found = figures(point)
        return replace(found, accuracy=(found.accuracy or 0.0) - (0.2 if point.settings["out_noise"] else 0.0))

    time, *_ = setting_plots(outcome(tmp_path, axes, noisy))
    assert time.series[0].marks[0].text == "adc_bits 4 0 s: 78.50 % ± 0.50"
    assert "over seeds, out_noise" in time.note


def test_names_are_not_joined(tmp_path: Path) -> None:
    axes = '[axes]\ndigital = [[], ["conv1"]]\n'
    (plot,) = setting_plots(outcome(tmp_path, axes, lambda point: FIGURES))
    assert not plot.joined
    assert [tick.text for tick in plot.ticks] == ["none", "conv1"]


def test_costs_are_drawn_where_they_differ(tmp_path: Path) -> None:
    tiles, energy = cost_plots(outcome(tmp_path, AXES, figures))
    assert (tiles.across, energy.across) == ("tiles", "energy")
    assert len(tiles.series[0].marks) == len(tiles.front) == 2
    assert cost_plots(outcome(tmp_path, AXES, lambda point: FIGURES)) == ()


def test_agreement_is_drawn_where_there_is_no_accuracy(tmp_path: Path) -> None:
    unlabelled = replace(FIGURES, accuracy=None, reference=None)
    plot, *_ = setting_plots(outcome(tmp_path, AXES, lambda point: unlabelled))
    assert (plot.up, plot.reference) == ("agreement", None)


@pytest.mark.parametrize("axes", ["", "[axes]\nseed = [0, 1, 2]\n", AXES], ids=["point", "seeds", "settings"])
def test_the_page_of_any_study_loads_nothing_and_runs_nothing(tmp_path: Path, axes: str) -> None:
    page = html_page(outcome(tmp_path, axes, lambda point: None if point.number == 2 else FIGURES), "results.csv")
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert "<b>there</b>" not in page


def test_a_study_in_which_nothing_was_found_has_a_page(tmp_path: Path) -> None:
    page = html_page(outcome(tmp_path, AXES, lambda point: None), "results.csv")
    assert "it does not fit &lt;b&gt;there&lt;/b&gt;" in page
    assert "<svg" not in page


def test_many_settings_are_cut_and_counted(tmp_path: Path) -> None:
    axes = "[axes]\nout_noise = [" + ", ".join(f"{n / 1000}" for n in range(1, 252)) + "]\n"
    page = html_page(outcome(tmp_path, axes, lambda point: FIGURES), "results.csv")
    assert "And 51 more settings, which are in the table results.csv" in page
