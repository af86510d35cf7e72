"""What JAX sees of NVIDIA GPUs, and may do on them."""

import jax

_AT_LEAST_FLOAT32 = ("float32", "highest", "BF16_BF16_F32_X6", "BF16_BF16_F32_X9", "F32_F32_F32")


def available() -> bool:
    """Whether JAX sees an NVIDIA GPU."""
    try:
        return bool(jax.devices("cuda"))
    except RuntimeError:
        return False


def matmul_precision() -> str | None:
    """The option `jax_default_matmul_precision`."""
    return jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]


def allows_tf32() -> bool:
    """Whether products of float32 may be of TF32, as they are on GPUs by default."""
    return matmul_precision() not in _AT_LEAST_FLOAT32
