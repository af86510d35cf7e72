"""Networks that take plain arguments: usable without a config, a data set or a run."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from seqvision.models.classifier import SequenceClassifier
from seqvision.models.line_reader import LineReader
from seqvision.models.readouts import Readout
from seqvision.models.recurrent import RecurrentStack
from seqvision.models.sequences import (
    CNNColumns,
    CNNFeatures,
    CNNRows,
    Columns,
    Frames,
    Patches,
    Pixels,
    Rows,
)

SEQUENCES = (
    "rows",
    "columns",
    "pixels",
    "permuted_pixels",
    "patches",
    "cnn",
    "cnn_rows",
    "frames",
)
COLUMNS = ("columns", "cnn_columns")
"""What a line reader can read."""


def create_sequence(
    name: str,
    patch_size: int = 4,
    cnn_channels: tuple[int, ...] = (32, 64),
    dtype: jnp.dtype | None = None,
) -> nn.Module:
    """The sequence maker of that name.

    Raises:
      ValueError: there is no such one.
    """
    match name:
        case "rows":
            return Rows()
        case "columns":
            return Columns()
        case "pixels":
            return Pixels()
        case "permuted_pixels":
            return Pixels(permuted=True)
        case "patches":
            return Patches(patch_size)
        case "cnn":
            return CNNFeatures(cnn_channels, dtype)
        case "cnn_rows":
            return CNNRows(cnn_channels, dtype)
        case "frames":
            return Frames(cnn_channels, dtype)
    raise ValueError(f"sequence '{name}' is not known; choose one of {', '.join(SEQUENCES)}")


def create_columns(
    name: str, cnn_channels: tuple[int, ...] = (32, 64), dtype: jnp.dtype | None = None
) -> nn.Module:
    """How a line reader sees a column.

    Raises:
      ValueError: there is no such way.
    """
    match name:
        case "columns":
            return Columns()
        case "cnn_columns":
            return CNNColumns(cnn_channels, dtype)
    raise ValueError(f"sequence '{name}' is not known; choose one of {', '.join(COLUMNS)}")


def create_model(
    *,
    num_classes: int,
    sequence: str = "rows",
    patch_size: int = 4,
    cnn_channels: tuple[int, ...] = (32, 64),
    cell: str = "lstm",
    hidden_size: int = 128,
    num_layers: int = 1,
    bidirectional: bool = False,
    readout: str = "last",
    dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
    readout_dropout: float = 0.0,
    forget_bias: float = 1.0,
    gate_init: str = "constant",
    refine_gates: bool = False,
    recurrent_init: str = "orthogonal",
    compute_dtype: str = "float32",
    execution: str = "auto",
    axis_name: str | None = None,
) -> SequenceClassifier:
    """The network that these fields of `configs/default.py` describe.

    `axis_name` is the mesh axis that shares out the batch where training runs inside `shard_map`.

    Raises:
      ValueError: one of the names is not known.
    """
    dtype = jnp.dtype(compute_dtype)
    return SequenceClassifier(
        sequence=create_sequence(sequence, patch_size, cnn_channels, dtype),
        recurrent=RecurrentStack(
            cell=cell,
            hidden_size=hidden_size,
            num_layers=num_layers,
            bidirectional=bidirectional,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            forget_bias=forget_bias,
            gate_init=gate_init,
            refine_gates=refine_gates,
            recurrent_init=recurrent_init,
            execution=execution,
            axis_name=axis_name,
            dtype=dtype,
        ),
        readout=Readout(readout),
        num_classes=num_classes,
        dropout=readout_dropout,
        axis_name=axis_name,
        dtype=dtype,
    )


def create_reader(
    *,
    num_classes: int,
    sequence: str = "columns",
    cnn_channels: tuple[int, ...] = (32, 64),
    cell: str = "lstm",
    hidden_size: int = 128,
    delay: int = 7,
    readout_dropout: float = 0.0,
    compute_dtype: str = "float32",
    axis_name: str | None = None,
    **recurrent: Any,
) -> LineReader:
    """A network that reads lines of writing; see `create_model`.

    Args:
      num_classes: K, with the blank of CTC.
      delay: see `line_reader.LineReader`.
      recurrent: other fields of `recurrent.RecurrentStack`.

    Raises:
      ValueError: one of the names is not known.
    """
    dtype = jnp.dtype(compute_dtype)
    return LineReader(
        columns=create_columns(sequence, cnn_channels, dtype),
        recurrent=RecurrentStack(
            cell=cell, hidden_size=hidden_size, axis_name=axis_name, dtype=dtype, **recurrent
        ),
        num_classes=num_classes,
        delay=delay,
        dropout=readout_dropout,
        axis_name=axis_name,
        dtype=dtype,
    )
