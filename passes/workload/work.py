"""What blocks do at one position of their layer, and what that costs wherever they stand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mho.passes.levels.tiling import Tiling
from mho.passes.tile.blocks import accumulators, blocks_by_matrix, converter_groups
from mho.targets.arrays import Floats
from mho.targets.cost import Work
from mho.targets.steps import Analog, layers, walk


def block_work(tiling: Tiling) -> Floats:
    """What each block does at one position: [blocks, counts in the order of `Work`].

    A block makes an MVM and converts its rows; the first block of a converter converts its columns, and the block
    that adds up the partial sums of its columns adds those of the others, and the sums of other positions where an
    unfolding overlaps.
    """
    blocks = tiling.blocks
    found = np.zeros((len(blocks), 5))
    found[:, 0] = 1
    found[:, 1] = [b.rows[1] - b.rows[0] for b in blocks]
    adder_of = accumulators(blocks)
    for group in converter_groups(blocks):
        head, adder = group[0], adder_of[group[0].number]
        found[head.number, 2:4] = head.columns[1] - head.columns[0], 1
        found[adder, 4] += adder != head.number
    overlapping = _overlapping(tiling)
    sums = [b.number for b in blocks if b.matrix in overlapping and adder_of[b.number] == b.number]
    found[sums, 4] += 1
    return found


def _overlapping(tiling: Tiling) -> frozenset[str]:
    """Matrices whose complete sums are added once more, to those of other positions."""
    steps = walk(tiling.calibrated.network.steps)
    return frozenset(s.matrix for s in steps if isinstance(s, Analog) and s.unfolding.overlaps)


def core_work(tiling: Tiling) -> Work:
    """What all blocks do in one inference of one sample; the words on their ways are not part of it.

    Every position is one copy's, and the copies have equally many of them; free cuts may make copies of other blocks.
    """
    each, blocks = block_work(tiling), blocks_by_matrix(tiling.blocks)
    total = Work()
    for layer in layers(tiling.calibrated.network.steps):
        copies = each[[b.number for b in blocks[layer.matrix]]].sum(axis=0)
        once = Work.of(*(copies / tiling.replicas[layer.matrix]).tolist())
        work = once.times(tiling.calibrated.layers[layer.name].fires)
        total += replace(work, unlike=work.mvms) if layer.matrix in tiling.devices else work
    return total
