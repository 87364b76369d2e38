"""Loops that numba compiles to machine code. To be imported where they are needed: numba is slow to load."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit, uint64
from numba.core.types import UniTuple
from numba.extending import intrinsic

Loop = TypeVar("Loop", bound=Callable[..., Any])


def compiled(function: Loop) -> Loop:
    """A loop as machine code, during which other threads run; kept on disk, where there is a place for it."""
    try:
        return cast(Loop, njit(nogil=True, cache=True, error_model="numpy")(function))
    except RuntimeError:  # neither the folder of the source nor that of the user's caches can be written
        return cast(Loop, njit(nogil=True, error_model="numpy")(function))


def inlined(function: Loop) -> Loop:
    """As `compiled`, for what is put into the loops that call it."""
    return cast(Loop, njit(inline="always", error_model="numpy")(function))


def _wide_product(typing: Any, a: Any, b: Any) -> Any:
    """For compiled loops: the upper and the lower 64 bits of a product, for whose 128 numba has no number format."""
    from llvmlite.ir import IntType

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide, narrow = IntType(128), IntType(64)
        product = builder.mul(*(builder.zext(argument, wide) for argument in arguments))
        halves = (builder.trunc(builder.lshr(product, wide(64)), narrow), builder.trunc(product, narrow))
        return context.make_tuple(builder, signature.return_type, halves)

    return cast(Any, UniTuple)(uint64, 2)(uint64, uint64), generate


wide_product: Any = intrinsic(_wide_product)
