"""An analog crossbar by hand: how a matrix product becomes a current, and what each step costs in exactness.

Run it: `python -m mho.examples.crossbar_by_hand`. The devices follow the phase-change model of Nandakumar et al. (2019)
as published in IBM's aihwkit; all conductances are in µS. Drift makes all devices weaker, and one factor a tile, from
reading it with known inputs, mends most of that (global drift compensation, Joshi et al., 2020).
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
ROWS, COLUMNS, SAMPLES, STEPS = 256, 64, 200, 127
G_MAX, T0_S, DAY_S = 25.0, 20.0, 86_400.0


def pair(weights: Array) -> Array:
    """A weight is a difference of two conductances, since a conductance cannot be negative: [2, rows, columns]."""
    scaled = weights / np.abs(weights).max() * G_MAX
    return np.stack([np.maximum(scaled, 0), np.maximum(-scaled, 0)])


def converted(values: Array, limit: float) -> Array:
    """What an 8-bit converter makes of values: the nearest of 255 steps from -limit to limit, clipped beyond."""
    return np.clip(np.round(values / limit * STEPS), -STEPS, STEPS) * limit / STEPS


def programmed(target: Array, random: np.random.Generator) -> Array:
    """Writing hits its target only roughly; the deviation depends on the target."""
    x = target / G_MAX
    deviation = 0.26348 + 1.9650 * x - 1.1731 * x**2
    return np.maximum(target + deviation * random.standard_normal(target.shape), 0)


def drifted(conductance: Array, target: Array, time_s: float, random: np.random.Generator) -> Array:
    """Conductances fall as a power of time, each device with an exponent of its own."""
    log = np.log(np.maximum(target / G_MAX, 1e-7))
    mean, spread = np.clip(-0.0155 * log + 0.0244, 0.049, 0.1), np.clip(-0.0125 * log - 0.0059, 0.008, 0.045)
    exponent = np.abs(mean + spread * random.standard_normal(target.shape))
    return conductance * ((time_s + T0_S) / T0_S) ** -exponent


def errors(seed: int = 0) -> dict[str, float]:
    """The relative error of x · weights after each step on the way to a real crossbar."""
    random = np.random.default_rng(seed)
    weights, x, probe = (random.standard_normal(shape) for shape in ((ROWS, COLUMNS), (SAMPLES, ROWS), (50, ROWS)))
    exact = x @ weights
    target = pair(weights)
    to_weight, x_limit, y_limit = np.abs(weights).max() / G_MAX, np.quantile(np.abs(x), 0.999), np.abs(exact).max()

    def current(inputs: Array, conductance: Array) -> Array:
        total: Array = inputs @ (conductance[0] - conductance[1])  # Ohm multiplies, Kirchhoff adds
        return total

    def error(currents: Array, adc: bool = True, factor: float = 1.0) -> float:
        read = converted(currents * to_weight, y_limit) if adc else currents * to_weight
        return float(np.linalg.norm(factor * read - exact) / np.linalg.norm(exact))

    pulses = converted(x, x_limit)  # the DAC: how long a pulse lasts says how large the input is
    written = programmed(target, random)
    later = drifted(written, target, DAY_S, random)
    factor = np.abs(current(probe, written)).mean() / np.abs(current(probe, later)).mean()
    return {
        "pairs of conductances": error(current(x, target), adc=False),
        "+ 8-bit DAC on the inputs": error(current(pulses, target), adc=False),
        "+ 8-bit ADC on the currents": error(current(pulses, target)),
        "+ programming noise": error(current(pulses, written)),
        "+ a day of drift": error(current(pulses, later)),
        "+ global drift compensation": error(current(pulses, later), factor=factor),
    }


if __name__ == "__main__":
    print("relative error of a 256 × 64 product")
    for step, size in errors().items():
        print(f"{step:<30}{size:7.2%}")
