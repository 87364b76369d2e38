"""Writes one of the example networks: `python -m mho.examples.generate NAME -o FILE.onnx`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import onnx

from mho.examples.alexnet import alexnet
from mho.examples.bert import bert
from mho.examples.builder import LEAST_EXTERNAL_BYTES
from mho.examples.googlenet import googlenet
from mho.examples.gpt2 import gpt2
from mho.examples.inception_v3 import inception_v3
from mho.examples.kws_mlp import kws_mlp
from mho.examples.llama import SIZES, llama
from mho.examples.matrices import matrices
from mho.examples.mobilenet_v2 import mobilenet_v2
from mho.examples.ptb_lstm import ptb_lstm
from mho.examples.resnet import resnet18, resnet50
from mho.examples.resnet9 import resnet9
from mho.examples.rnnt import encoder, joint, prediction, transducer
from mho.examples.shufflenet import shufflenet
from mho.examples.squeezenet import squeezenet
from mho.examples.transfer_head import transfer_head
from mho.examples.vit import vit

NETWORKS: dict[str, Callable[[int], onnx.ModelProto]] = {
    "resnet9": resnet9,
    "ptb-lstm": ptb_lstm,
    "rnnt-encoder": encoder,
    "rnnt-prediction": prediction,
    "rnnt-joint": joint,
    "rnnt": transducer,
    "kws-mlp": kws_mlp,
    "transfer-head": transfer_head,
    "vit": vit,
    "bert": bert,
    "gpt2": gpt2,
    "llama-tiny": llama,
    "llama-100m": partial(llama, size=SIZES["100m"]),
    "alexnet": alexnet,
    "resnet18": resnet18,
    "resnet50": resnet50,
    "squeezenet": squeezenet,
    "googlenet": googlenet,
    "inception-v3": inception_v3,
    "mobilenet-v2": mobilenet_v2,
    "shufflenet": shufflenet,
}
LARGEST_SINGLE_FILE_BYTES = 100_000_000


def save(model: onnx.ModelProto, path: Path) -> None:
    """Writes the network; above 100 MB the tensors of at least 1 KiB go to a second file, `path` + `.data`.

    The tensors that were written apart are gone from `model` afterwards, so that memory holds them only once.
    """
    if sum(len(tensor.raw_data) for tensor in model.graph.initializer) <= LARGEST_SINGLE_FILE_BYTES:
        onnx.save_model(model, path)
        return
    beside = path.with_name(f"{path.name}.data")
    beside.unlink(missing_ok=True)  # onnx appends to a file that is there
    onnx.save_model(model, path, save_as_external_data=True, location=beside.name, size_threshold=LEAST_EXTERNAL_BYTES)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mho.examples.generate", description="Writes an example network.")
    parser.add_argument("name", choices=sorted(NETWORKS), metavar="NAME", help=", ".join(NETWORKS))
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.onnx")
    parser.add_argument("--seed", type=int, default=0, help="of the random weights")
    arguments = parser.parse_args()
    if not arguments.output.parent.is_dir():
        parser.error(f"there is no folder {arguments.output.parent}: create it, or choose another place for FILE.onnx")
    model = NETWORKS[arguments.name](arguments.seed)
    save(model, arguments.output)
    shapes = matrices(model)
    weights = sum(rows * columns for rows, columns in shapes)
    print(f"{arguments.output}: {weights:,} weights in {len(shapes)} {'matrix' if len(shapes) == 1 else 'matrices'}")


if __name__ == "__main__":
    main()
