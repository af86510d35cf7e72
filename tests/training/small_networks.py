"""Small networks, a task and clips for them, and their loss in float64."""

from typing import Any

import numpy as np

from seqvision.data.dataset import ArraySplit
from seqvision.models import create_model
from seqvision.tasks.classification import Classification

SHAPE, CLASSES = (28, 28, 1), 10
TASK = Classification(tuple("0123456789"), label_smoothing=0.1)


def small_model() -> Any:
    # Tests compare loops, not ways to run an LSTM: one that is nowhere compiled on the machine.
    return create_model(num_classes=CLASSES, hidden_size=8, execution="scan")


def numpy_cross_entropy(logits: np.ndarray, labels: np.ndarray, smoothing: float) -> np.ndarray:
    logits = np.float64(logits)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    num_classes = logits.shape[1]
    targets = np.full(logits.shape, smoothing / num_classes)
    targets[np.arange(len(labels)), labels] += 1 - smoothing
    return -(targets * log_p).sum(axis=1)


def clip_split(rng: np.random.Generator) -> ArraySplit:
    """Clips of 1 to 7 frames of 3x4 pixels, in 2 classes that their brightness tells."""
    lengths = rng.integers(1, 8, 30).astype(np.int32)
    labels = rng.integers(0, 2, 30).astype(np.int32)
    clips = rng.integers(0, 120, (30, 7, 3, 4, 1)) + 100 * labels[:, None, None, None, None]
    clips[np.arange(7)[None] >= lengths[:, None]] = 0
    return ArraySplit(clips.astype(np.uint8), labels, lengths)


def clip_model(readout: str = "last", **options: Any) -> Any:
    return create_model(
        num_classes=2,
        sequence="frames",
        cnn_channels=(2,),
        hidden_size=4,
        readout=readout,
        **options,
    )
