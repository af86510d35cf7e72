"""One comparison of a path with the reference: values and gradients, by their norms."""

import threading
from concurrent.futures import Future
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.accelerator.record import first_line
from seqvision.models.recurrent import Recurrent

_LOCK = threading.Lock()
_REFERENCES: dict[tuple[Any, ...], "Future[list[np.ndarray]]"] = {}
_NAMES = (
    *("outputs", "c", "h", "d_input_kernel", "d_recurrent_kernel", "d_bias"),
    *("d_inputs", "d_c0", "d_h0"),
)


def compare(item: dict[str, Any]) -> dict[str, Any]:
    """Runs a path on the first device, and `scan` on the CPU in float32.

    Args:
      item: `path`, `precision`, `reverse`, and B, T, D, H.

    Returns:
      `errors`: ||found - reference|| / ||reference|| by name (a NaN as infinity); or why there are
      none, and whether seqvision refuses the case.
    """
    from benchmarks.accelerator.worker import is_refusal

    try:
        found = _run(jax.devices()[0], item, item["path"])(*_numbers(item))
        expected = _reference(item)
    except Exception as error:  # Of one case.
        return {"refused": is_refusal(error), "reason": first_line(error)}
    pairs = zip(_NAMES, expected, found, strict=True)
    return {"errors": {name: _error(right, now) for name, right, now in pairs}}


def _reference(item: dict[str, Any]) -> list[np.ndarray]:
    """Computed once for all precisions, which may ask at the same time."""
    key = tuple(item[name] for name in ("B", "T", "D", "H", "reverse", "lengths"))
    with _LOCK:
        is_first = key not in _REFERENCES
        future = _REFERENCES.setdefault(key, Future())
    if is_first:
        try:
            run = _run(jax.devices("cpu")[0], item | {"precision": "float32"}, "scan")
            future.set_result(run(*_numbers(item)))
        except Exception as error:
            future.set_exception(error)
    return future.result()


def _error(expected: np.ndarray, found: np.ndarray) -> float:
    right, now = expected.astype(np.float64), found.astype(np.float64)
    norm = float(np.linalg.norm(right))
    error = float(np.linalg.norm(now - right)) / (norm or 1.0)
    return error if np.isfinite(error) and np.isfinite(norm) else 1e9


def _numbers(item: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Weights, inputs and carry; lengths, 0, 1 and T among them; weights of each result."""
    size, steps, width, hidden = (item[name] for name in ("B", "T", "D", "H"))
    rng = np.random.default_rng([size, steps, width, hidden])

    def normal(*shape: int, scale: float = 1.0) -> np.ndarray:
        return (scale * rng.standard_normal(shape)).astype(np.float32)

    arguments = (
        normal(width, 4 * hidden, scale=width**-0.5),
        normal(hidden, 4 * hidden, scale=hidden**-0.5),
        normal(4 * hidden, scale=0.5),
        normal(size, steps, width),
        normal(size, hidden, scale=0.5),
        normal(size, hidden, scale=0.5),
    )
    lengths = None
    if item["lengths"]:
        lengths = rng.integers(0, steps + 1, size).astype(np.int32)
        lengths[:3] = 0, 1, steps
    return arguments, lengths, (normal(size, steps, hidden), normal(size, hidden), arguments[4])


def _run(device: Any, item: dict[str, Any], path: str) -> Any:
    """Results and gradients of (arguments, lengths, cotangents) as numpy arrays."""
    dtype = jnp.bfloat16 if item["precision"] == "bfloat16" else None
    layer = Recurrent(hidden_size=item["H"], execution=path, reverse=item["reverse"], dtype=dtype)

    @jax.jit
    def values_and_gradients(arguments: Any, lengths: Any, cotangents: Any) -> Any:
        def read(*arguments: Any) -> Any:
            kernel, recurrent, bias, inputs, c, h = arguments
            cell = {"input_kernel": kernel, "recurrent_kernel": recurrent, "bias": bias}
            outputs, (c, h) = layer.apply({"params": {"cell": cell}}, inputs, lengths, (c, h))
            return outputs, c, h

        found, backward = jax.vjp(read, *arguments)
        return *found, *backward(cotangents)

    def run(*numbers: Any) -> list[np.ndarray]:
        # The reference is in float32 whatever the precision of the path.
        precision = "highest" if item["precision"] == "float32" else None
        with jax.default_device(device), jax.default_matmul_precision(precision):
            return [
                np.asarray(one) for one in values_and_gradients(*jax.device_put(numbers, device))
            ]

    return run
