"""Networks that take plain arguments: usable without a config, a data set or a run."""

from typing import Any

import jax.numpy as jnp

from seqvision.models.classifier import SequenceClassifier
from seqvision.models.line_reader import LineReader
from seqvision.models.readouts import Readout
from seqvision.models.recurrent import RecurrentStack
from seqvision.models.sequences import COLUMNS, SEQUENCES, create_sequence

__all__ = ["COLUMNS", "SEQUENCES", "create_model", "create_reader", "create_sequence"]


def create_model(
    *,
    num_classes: int,
    sequence: str = "rows",
    patch_size: int = 4,
    cnn_channels: tuple[int, ...] = (32, 64),
    cnn_padding: str = "same",
    cnn_per_frame: bool = False,
    backbone: str = "none",
    backbone_trainable: str = "none",
    readout: str = "last",
    readout_dropout: float = 0.0,
    compute_dtype: str = "float32",
    axis_name: str | None = None,
    **recurrent: Any,
) -> SequenceClassifier:
    """A network that classifies images or clips.

    Args:
      num_classes: K.
      sequence: a name in `SEQUENCES`.
      patch_size, cnn_channels, cnn_padding, cnn_per_frame, backbone, backbone_trainable: see
        `sequences.SequenceMaker`.
      readout: a name in `readouts.READOUTS`.
      readout_dropout: see `classifier.SequenceClassifier.dropout`.
      compute_dtype: precision of the matrix products and convolutions.
      axis_name: the mesh axis over which the batch is sharded, where training runs inside
        `shard_map`.
      recurrent: other fields of `recurrent.RecurrentStack`, such as `cell` and `hidden_size`.

    Raises:
      ValueError: one of the names is not known.
    """
    dtype = jnp.dtype(compute_dtype)
    return SequenceClassifier(
        sequence=create_sequence(
            sequence,
            patch_size=patch_size,
            cnn_channels=cnn_channels,
            cnn_padding=cnn_padding,
            cnn_per_frame=cnn_per_frame,
            backbone=backbone,
            backbone_trainable=backbone_trainable,
            dtype=dtype,
        ),
        recurrent=RecurrentStack(axis_name=axis_name, dtype=dtype, **recurrent),
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
    delay: int = 7,
    readout_dropout: float = 0.0,
    compute_dtype: str = "float32",
    axis_name: str | None = None,
    **recurrent: Any,
) -> LineReader:
    """A network that reads lines of writing; see `create_model`.

    Args:
      num_classes: K, with the blank of CTC.
      sequence: a name in `COLUMNS`.
      delay: see `line_reader.LineReader`.
      Others: see `create_model`.

    Raises:
      ValueError: one of the names is not known.
    """
    dtype = jnp.dtype(compute_dtype)
    return LineReader(
        columns=create_sequence(sequence, COLUMNS, cnn_channels=cnn_channels, dtype=dtype),
        recurrent=RecurrentStack(axis_name=axis_name, dtype=dtype, **recurrent),
        num_classes=num_classes,
        delay=delay,
        dropout=readout_dropout,
        axis_name=axis_name,
        dtype=dtype,
    )
