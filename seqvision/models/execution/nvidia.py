"""What JAX sees of NVIDIA GPUs, and may do on them."""

import jax

_AT_LEAST_FLOAT32 = ("float32", "highest", "BF16_BF16_F32_X6", "BF16_BF16_F32_X9", "F32_F32_F32")


def compute_capability() -> str | None:
    """Of the first NVIDIA GPU that JAX sees, such as "9.0" of an H100; None where it sees none."""
    try:
        return jax.devices("cuda")[0].compute_capability
    except RuntimeError:
        return None


def available() -> bool:
    """Whether JAX sees an NVIDIA GPU."""
    return compute_capability() is not None


def matmul_precision() -> str | None:
    """The option `jax_default_matmul_precision`."""
    return jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]


def allows_tf32() -> bool:
    """Whether products of float32 may be of TF32, as they are on GPUs by default."""
    return matmul_precision() not in _AT_LEAST_FLOAT32
