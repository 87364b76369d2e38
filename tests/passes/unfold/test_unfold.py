"""Which unfolding a convolution gets, against all that it could have."""

from __future__ import annotations

from itertools import product
from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.examples.builder import Builder
from mho.passes.levels.dump import level_text
from mho.passes.levels.matrix import Matrix
from mho.passes.levels.network import Network
from mho.passes.lower import Lower
from mho.passes.pack.pack import Mode
from mho.passes.unfold.candidates import candidates, shifted
from mho.passes.unfold.figures import measure
from mho.passes.unfold.unfold import ChooseUnfolding
from mho.passes.verify.network import verify_network
from mho.runtime.unfold import position_shape
from mho.targets.errors import OptionError
from mho.targets.steps import Analog
from mho.targets.target import UNLIMITED, Target
from mho.targets.unfolding import Places, ShiftedWindows, Unfolding, Window
from tests.conftest import Golden
from tests.passes.conftest import import_model
from tests.passes.unfold.networks import bench, convolution, machine


def chosen(network: Network, options: ChooseUnfolding, target: Target, mode: Mode = "pipelined") -> Network:
    found = options.run(network, bench(target, mode))
    assert verify_network(found) == ()
    return found


def unfoldings(network: Network) -> list[Unfolding]:
    return [step.unfolding for step in network.steps if isinstance(step, Analog)]


def test_im2col_changes_nothing() -> None:
    network = convolution(3, 8, 3, 8)
    assert chosen(network, ChooseUnfolding(), machine(256, 256)) == network


@settings(max_examples=30, deadline=None)
@given(
    *(st.integers(1, 4), st.integers(1, 6), st.sampled_from([1, 2, 3]), st.integers(1, 2), st.sampled_from([1, 2])),
    *(st.integers(8, 60), st.integers(4, 40), st.sampled_from(["none", "pipelined", "sequential"])),
)
def test_windows_take_the_least_time_of_all_that_fit(
    channels: int, kernels: int, kernel: int, stride: int, groups: int, rows: int, columns: int, mode: Mode
) -> None:
    network = convolution(channels * groups, kernels * groups, kernel, 6, groups=groups, stride=stride)
    target = machine(rows, columns)
    (step,) = network.steps
    assert isinstance(step, Analog) and isinstance(step.unfolding, Window)
    found = candidates(step, network, bench(target, mode), 1)
    assert not isinstance(found, str)
    least = found.im2col.figures.turns
    sizes = position_shape((1, 1, 6, 6), step.unfolding)[1:]
    for copies in product(*(range(1, size + 1) for size in sizes)):
        unfolding = ShiftedWindows(window=step.unfolding, copies=copies)
        positions = prod(position_shape((1, 1, 6, 6), unfolding))
        figures = measure(shifted(network.matrices["conv0"], unfolding), unfolding, positions, bench(target, mode))
        if figures.tiles <= found.im2col.figures.tiles:
            least = min(least, figures.turns)
    assert min(c.figures.turns for c in (found.im2col, *found.windows)) == least
    after = chosen(network, ChooseUnfolding(unfold="windows"), target, mode)
    (taken,) = unfoldings(after)
    positions = prod(position_shape((1, 1, 6, 6), taken))
    assert measure(after.matrices["conv0"], taken, positions, bench(target, mode)).turns == least


def test_zeros_and_copies_of_a_wide_window_are_counted() -> None:
    network = chosen(convolution(3, 8, 3, 8), ChooseUnfolding(unfold="windows"), machine(64, 64))
    matrix: Matrix = network.matrices["conv0"]
    assert (matrix.rows, matrix.columns, matrix.copies) == (60, 48, 6)
    assert matrix.weights - matrix.zeros == 6 * 3 * 9 * 8


def test_places_pay_where_channels_are_many_and_kernels_few() -> None:
    # 576 × 6 takes nine arrays of 64 × 64, nine places of 64 × 6 side by side take one.
    network = convolution(64, 6, 3, 8)
    (taken,) = unfoldings(chosen(network, ChooseUnfolding(unfold="auto"), machine(64, 64), "none"))
    assert isinstance(taken, Places)


def test_a_stride_makes_places_slower_so_auto_leaves_them() -> None:
    network = convolution(64, 6, 3, 8, stride=2)
    (taken,) = unfoldings(chosen(network, ChooseUnfolding(unfold="auto"), machine(64, 64), "none"))
    assert isinstance(taken, Window)
    (asked,) = unfoldings(chosen(network, ChooseUnfolding(unfold="places"), machine(64, 64), "none"))
    assert isinstance(asked, Places)


@settings(max_examples=20, deadline=None)
@given(
    *(st.integers(1, 8), st.integers(1, 12), st.sampled_from([1, 3]), st.integers(1, 5)),
    *(st.integers(12, 80), st.integers(8, 60), st.sampled_from(["none", "pipelined", "sequential"])),
)
def test_auto_needs_no_more_tiles_fires_or_mvms_than_im2col(
    incoming: int, outgoing: int, kernel: int, layers: int, rows: int, columns: int, mode: Mode
) -> None:
    network, target = convolution(incoming, outgoing, kernel, 6, layers=layers), machine(rows, columns)
    auto = chosen(network, ChooseUnfolding(unfold="auto"), target, mode)
    assert bench(target, mode).tiles(auto) <= bench(target, mode).tiles(network)
    for before, after in zip(network.steps, auto.steps, strict=True):
        assert isinstance(before, Analog) and isinstance(after, Analog)
        counts = []
        for step, matrices in ((before, network.matrices), (after, auto.matrices)):
            positions = prod(position_shape((1, 1, 6, 6), step.unfolding))
            counts.append(
                (positions, measure(matrices[step.matrix], step.unfolding, positions, bench(target, mode)).mvms)
            )
        assert counts[1][0] <= counts[0][0] and counts[1][1] <= counts[0][1]


def test_auto_gives_smaller_windows_where_all_do_not_fit_together() -> None:
    network, target = convolution(3, 3, 3, 12, layers=2), machine(128, 128)
    auto = chosen(network, ChooseUnfolding(unfold="auto"), target)
    room = bench(target, "pipelined")
    assert room.tiles(auto) == room.tiles(network) == 1
    copies = [u.copies for u in unfoldings(auto) if isinstance(u, ShiftedWindows)]
    assert copies and any("together would need more tiles" in d.detail for d in auto.decisions)


def test_more_tiles_may_be_traded_for_fewer_fires() -> None:
    network, target = convolution(3, 16, 3, 8), machine(64, 64)

    def fires(most_tiles: int) -> int:
        (taken,) = unfoldings(chosen(network, ChooseUnfolding(unfold="windows", most_tiles=most_tiles), target))
        return prod(position_shape((1, 1, 8, 8), taken))

    assert fires(4) < fires(2) < fires(1) < 64


def test_one_layer_may_be_asked_for() -> None:
    network = convolution(3, 3, 3, 8, layers=2)
    first, second = unfoldings(chosen(network, ChooseUnfolding(unfold_of={"conv1": "places"}), machine(64, 64)))
    assert isinstance(first, Window) and isinstance(second, Places)


@pytest.mark.parametrize(
    ("network", "options", "problem"),
    [
        (
            convolution(3, 3, 3, 8),
            ChooseUnfolding(unfold_of={"conv": "places"}),
            "unfold.unfold_of names conv, which is no convolution on tiles; there are conv0",
        ),
        (
            convolution(3, 3, 1, 8),
            ChooseUnfolding(unfold_of={"conv0": "places"}),
            "unfold.unfold_of: conv0 cannot be unfolded in places: its kernel is a single place",
        ),
        (
            convolution(7, 60, 3, 8),
            ChooseUnfolding(unfold_of={"conv0": "windows"}),
            "unfold.unfold_of: conv0 cannot be unfolded in windows: no wider window fits into 1 tiles; "
            "see unfold.most_tiles",
        ),
    ],
)
def test_what_is_asked_for_and_cannot_be(network: Network, options: ChooseUnfolding, problem: str) -> None:
    with pytest.raises(OptionError) as caught:
        chosen(network, options, machine(64, 64))
    assert caught.value.problems == (problem,)


@pytest.mark.parametrize("form", ["windows", "places", "auto"])
def test_text_of_an_unfolded_network(form: str, golden: Golden) -> None:
    network = convolution(4, 6, 3, 6, groups=2, layers=1)
    options = ChooseUnfolding(unfold_of={"conv0": form})  # type: ignore[dict-item]
    found = chosen(network, options, machine(64, 64))
    said = "".join(f"{d.node}: {d.because}\n" for d in found.decisions)
    golden.check(f"passes/unfold_{form}.txt", level_text(found) + said)


def lowered(net: Builder) -> Network:
    return Lower().run(import_model(net.model))


def shared() -> Network:
    net = Builder("net")
    x, weight = net.input("x", ["N", 3, 6, 6]), net.weight("w", 3, 3, 3, 3, fan_in=27)
    y = net.op("Conv", "one", x, weight, pads=[1] * 4)
    net.output(net.op("Conv", "two", y, weight, pads=[1] * 4), ["N", 3, 6, 6])
    return lowered(net)


def open_sizes() -> Network:
    net = Builder("net")
    x = net.input("x", ["N", 3, "H", "W"])
    net.output(net.op("Conv", "one", x, net.weight("w", 3, 3, 3, 3, fan_in=27)), ["N", 3, "h", "w"])
    return lowered(net)


def transposed() -> Network:
    net = Builder("net")
    x = net.input("x", ["N", 3, 6, 6])
    y = net.op("ConvTranspose", "one", x, net.weight("w", 3, 3, 3, 3, fan_in=27), strides=[2, 2])
    net.output(y, ["N", 3, 13, 13])
    return lowered(net)


@pytest.mark.parametrize(
    ("network", "rows", "why"),
    [
        (shared(), 64, "its matrix is shared with other layers"),
        (open_sizes(), 64, "the size of its input is not known; fix it with --dim"),
        (transposed(), 64, "zeros stand between the samples that windows of a transposed convolution meet"),
        (convolution(3, 3, 3, 6), UNLIMITED, "the size of an array is not published"),
    ],
)
def test_what_keeps_im2col_says_why(network: Network, rows: int, why: str) -> None:
    found = chosen(network, ChooseUnfolding(unfold="windows"), machine(rows, 64))
    assert all(isinstance(unfolding, Window) for unfolding in unfoldings(found))
    assert all(why in decision.detail for decision in found.decisions)


def test_a_transposed_convolution_fires_once_a_sample_in_places() -> None:
    (taken,) = unfoldings(chosen(transposed(), ChooseUnfolding(unfold="auto"), machine(64, 64)))
    assert isinstance(taken, Places)
    assert position_shape((1, 3, 6, 6), taken) == (1, 6, 6)
