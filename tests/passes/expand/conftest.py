"""The fixtures of the tests of passes on the ONNX graph."""

from tests.passes.simplify.conftest import feeds as feeds
from tests.passes.simplify.conftest import run as run
