"""Floating-point operations of a function, counted from its jaxpr.

XLA's own cost analysis counts the body of a loop once, however often it runs.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.extend import core


def count_flops(function: Callable[..., Any], *args: Any) -> int:
    """Counts two operations per multiply-add of matrix products and convolutions, and no others.

    What a gradient recomputes (the CNN on CPU) counts again; operations inside cuDNN are not seen.
    The body of a `scan` counts once per iteration, that of a `while_loop` once in all, since its
    number of iterations is not known.

    Args:
      function: a function that jax can trace.
      args: arrays, or their shapes as `jax.ShapeDtypeStruct`.
    """
    return _count(jax.make_jaxpr(function)(*args).jaxpr)


def _count(jaxpr: core.Jaxpr) -> int:
    total = 0
    for equation in jaxpr.eqns:
        shapes = [_shape(variable) for variable in equation.invars]
        size = math.prod(_shape(equation.outvars[0])) if equation.outvars else 0
        parameters = equation.params
        match equation.primitive.name:
            case "dot_general":
                (contracted, _), _ = parameters["dimension_numbers"]
                total += 2 * size * math.prod(shapes[0][axis] for axis in contracted)
            case "conv_general_dilated":
                kernel = shapes[1]
                outputs = kernel[parameters["dimension_numbers"].rhs_spec[0]]
                total += 2 * size * math.prod(kernel) // outputs
            case "scan":
                total += parameters["length"] * _count(parameters["jaxpr"].jaxpr)
            case "shard_map":
                # Its function runs on each device of the mesh.
                total += parameters["mesh"].size * _count(parameters["jaxpr"])
            case "cond":
                total += max(_count(branch.jaxpr) for branch in parameters["branches"])
            case "ffi_call" if "_lstm_" in parameters["target_name"]:
                total += _count_native(parameters, shapes)
            case _:
                total += sum(map(_count, _inner(parameters)))
    return total


def _count_native(parameters: dict[str, Any], shapes: list[tuple[int, ...]]) -> int:
    """Of the compiled LSTM, see `models.execution.native_lstm`: its products with the weights."""
    steps = dict(parameters["attributes"])["steps"]
    # The weights come first; then the inputs, or last the gradient of the hidden state.
    is_forward = parameters["target_name"].endswith("lstm_forward")
    (features, gates), batch = shapes[0], shapes[1 if is_forward else -1][0]
    forward = 2 * steps * batch * features * gates
    if is_forward:
        return forward
    # The gradient of the weights, and that of the hidden state.
    return forward + 2 * steps * batch * gates * (gates // 4)


def _shape(variable: Any) -> tuple[int, ...]:
    return tuple(variable.aval.shape)


def _inner(parameters: dict[str, Any]) -> Iterator[core.Jaxpr]:
    """The jaxprs that an operation such as `jit` or `while_loop` calls."""
    for value in parameters.values():
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, core.ClosedJaxpr):
                yield each.jaxpr
            elif isinstance(each, core.Jaxpr):
                yield each
