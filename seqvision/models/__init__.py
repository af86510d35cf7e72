"""Networks that take plain arguments: usable without a config, a data set or a run."""

import flax.linen as nn
import jax.numpy as jnp

from seqvision.models.row_lstm import RowLSTM


def create_model(
    architecture: str,
    *,
    num_classes: int,
    hidden_size: int,
    forget_bias: float,
    compute_dtype: str,
) -> nn.Module:
    """The network that a config names: images in [0, 1] to logits.

    Raises:
      ValueError: there is no such architecture.
    """
    if architecture != "row_lstm":
        raise ValueError(f"architecture '{architecture}' is not known; it is row_lstm")
    return RowLSTM(
        num_classes=num_classes,
        hidden_size=hidden_size,
        forget_bias=forget_bias,
        dtype=jnp.dtype(compute_dtype),
    )
