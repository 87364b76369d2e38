"""Writes CLI.md: every command of mho with its real output.

    python docs/make_cli.py

Needs the installed `mho` and a clone; runs everything in a temporary folder on the packaged digits network.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from console import block, lay_out

ROOT = Path(__file__).resolve().parents[1]

INTRO = """# The command line

Every output on this page is real: `python docs/make_cli.py` runs the commands on the packaged digits network and writes the page.

Every command that computes takes `--json`: results on standard output, everything else on standard error. Progress is shown on a
terminal only. No command changes its input, and files appear whole or not at all.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | the input is at fault: a sentence, no traceback |
| 2 | the command line is at fault |
| 3 | a threshold of `mho validate` was missed |
| 70 | a bug in mho: the message says where its dump lies |
| 130 | interrupted |

An `.npz` holds one array for each input of the model under the input's name (`x` serves where there is one input); the first axis
counts the samples, and `y` holds labels. A model of fixed batch is fed in batches of that size. `--state OUT:IN` carries an output
to an input of the next sample.
"""

SECTIONS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("mho", "", ("mho --help",)),
    (
        "mho demo",
        "The whole way with a bundled network: compile, validate, report.",
        ("mho demo",),
    ),
    (
        "mho compile",
        "ONNX in, tile program out, and a summary of what went where. `--explain` lists every ONNX node. `--dump-after PASS` prints "
        "a level; the passes are those of [ARCHITECTURE.md](ARCHITECTURE.md). Options of passes that have no flag are set in a "
        "TOML file with a table for each pass (`--config`).",
        (
            "mho compile --help",
            "mho compile digits.onnx -t hermes64 --data digits_calibration.npz -o digits.mho",
            "mho compile digits.onnx -t ideal256 --data digits_calibration.npz --explain -o ideal.mho",
            "mho compile digits.onnx -t hermes64 --data digits_calibration.npz --replicate 32 --chips 1 --pack none",
            "mho compile digits.onnx -t hermes46",
            "mho compile digits.onnx -t hermes64 --data digits_calibration.npz --dump-after tile --stop-after tile",
        ),
    ),
    (
        "mho report",
        "The same summary, JSON with stable keys, or one self-contained page ([how to read it](docs/report.md)).",
        (
            "mho report digits.mho -o digits.html",
            "mho report digits.mho --format json",
            "mho report digits.mho --format placement -o placement.json",
            "mho report digits.mho --format trace -o digits-trace.json",
        ),
    ),
    (
        "mho validate",
        "Runs the program for several seeds and times after programming, and compares with onnxruntime on the model (`--model`), or "
        "else with the program's own ideal mode. Metrics: `top1`, `auc`, `mse`, `spearman`, `none`.",
        (
            "mho validate digits.mho --model digits.onnx --data digits.npz --runs 3 --time 0s,1h,30d",
            "mho validate digits.mho --model digits.onnx --data digits.npz --ideal --min-agreement 100",
            "mho validate digits.mho --model digits.onnx --data digits.npz --time 30d --max-drop 0.1",
            "mho validate digits.mho --model digits.onnx --data digits.npz --time 30d --compensate none --off output_noise",
            "mho validate digits.mho --model digits.onnx --data digits.npz --time 30d --recalibrate digits_calibration.npz",
            "mho validate digits.mho --data digits.npz --off drft",
            "mho validate digits.mho --data digits.npz --json",
        ),
    ),
    (
        "mho run",
        "Outputs for inputs, as an `.npz` of one array for each output.",
        ("mho run digits.mho --data digits.npz -o out.npz --seed 3 --time 1d",),
    ),
    (
        "mho faults",
        "Draws a map of broken tiles, lines and cells from rates; `mho compile --faults` takes it, or one that you wrote "
        "([chips with faults](docs/faults.md)).",
        (
            "mho faults --help",
            "mho faults -t hermes64 --chips 1 --dead-tiles 0.1 --dead-rows 0.005 --seed 1 -o map.toml",
            "mho compile digits.onnx -t hermes64 --data digits_calibration.npz --faults map.toml -o worn.mho",
        ),
    ),
    (
        "mho sweep",
        "A network under many settings, on all cores or on a Dask cluster, into one table and one page "
        "([docs/studies.md](docs/studies.md)). This study varies the converters' bits and the seed:",
        (
            "mho sweep --help",
            "cat bits.toml",
            "mho sweep bits.toml --dry-run",
            "mho sweep bits.toml -o bits.csv",
            "cut -d, -f11-17 bits.csv",
        ),
    ),
    (
        "mho export",
        "What the machine computes as a plain ONNX model, for onnxruntime and every other tool: converters, programmed weights, drift and "
        "noise by standard operators ([docs/export.md](docs/export.md)).",
        (
            "mho export --help",
            "mho export digits.mho -o digits-1d.onnx --time 1d --seed 3",
            "mho export digits.mho -o digits-8bit.onnx --quantised --json",
        ),
    ),
    (
        "mho show",
        "A program as text: `--level network`, `tiling`, `plan`, or all of it; `--core` for one core.",
        (
            "mho show digits.mho --level tiling",
            "mho show digits.mho --level network",
            "mho show digits.mho --core 0:0,0",
        ),
    ),
    (
        "mho check",
        "Verifies a program without the compiler that made it: digests, weights, tiles, buffers, messages.",
        ("mho check digits.mho", "mho check damaged.mho"),
    ),
    (
        "mho targets",
        "Machines as data. A path to a TOML file works wherever a name does ([write your own](docs/targets.md)).",
        ("mho targets list", "mho targets show hermes64", "mho targets show mesh2d", "mho targets check mine.toml"),
    ),
    ("mho ops", "Which ONNX operator runs where, and under which conditions.", ("mho ops",)),
)

MINE = """title = "my machine"

[crossbar]
rows = 128
columns = 128
devices_per_weight = 2
weight_scale = "columns"

[adc]
bitts = 8
"""

BITS = """model = "digits.onnx"
data = "digits.npz"
calibration = "digits_calibration.npz"
target = "hermes64"

[axes]
adc_bits = [4, 8]
seed = [0, 1]
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lay_out(folder)
        (folder / "mine.toml").write_text(MINE, encoding="utf-8")
        (folder / "bits.toml").write_text(BITS, encoding="utf-8")
        parts = [INTRO]
        for title, text, commands in SECTIONS:
            parts.append(f"\n## {title}\n" + (f"\n{text}\n" if text else ""))
            parts += [_block(command, folder) for command in commands]
        (ROOT / "CLI.md").write_text("".join(parts), encoding="utf-8")


def _block(command: str, folder: Path) -> str:
    if "damaged" in command:
        data = bytearray((folder / "digits.mho").read_bytes())
        data[len(data) // 2] ^= 1
        (folder / "damaged.mho").write_bytes(bytes(data))
    return "\n" + block(command, folder)


if __name__ == "__main__":
    main()
