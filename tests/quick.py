"""Programs that compile in a part of the time, and run slower, for tests."""

from collections.abc import Callable
from typing import Any

import jax


def quick_jit(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """`jax.jit` without the optimizations of XLA."""
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0}, **options)
