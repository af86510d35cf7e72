"""Readouts after every step, in numpy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from seqvision.models.host.numpy_operations import NumpyOperations
from seqvision.models.host.product import product
from seqvision.models.running_readouts import STEPS

_OPERATIONS = NumpyOperations()

Parts = tuple[np.ndarray, ...]
"""See `models.running_readouts.MEMORIES`."""


class HostReadout:
    """`models.readouts.Readout` of the steps so far, in float32."""

    def __init__(self, kind: str, params: Mapping[str, Any]) -> None:
        """Takes the parameters, as numpy arrays; only `attention` has some."""
        self._kind, self._params = kind, params

    def read(
        self, outputs: np.ndarray, parts: Parts, mask: np.ndarray | None = None
    ) -> tuple[np.ndarray, Parts]:
        """Reads the outputs of the next steps.

        Args:
          outputs: (S, n, H), of the recurrent layers.
          parts: the memory after the steps before.
          mask: (S, n), False where a sequence has no step; all True by default.

        Returns:
          The features (S, n, H) after every step, and the memory.
        """
        if self._kind not in STEPS:
            return outputs, parts
        scores = outputs[..., :1]
        if self._kind == "attention":
            hidden, score = self._params["hidden"], self._params["score"]
            inner = np.tanh(product(outputs, hidden["kernel"]) + hidden["bias"])
            scores = product(inner, score["kernel"])
        features = np.empty_like(outputs)
        for step in range(outputs.shape[1]):
            features[:, step], new = STEPS[self._kind](
                _OPERATIONS, parts, outputs[:, step], scores[:, step]
            )
            if mask is not None:
                is_step = mask[:, step, None]
                new = tuple(np.where(is_step, *pair) for pair in zip(new, parts, strict=True))
            parts = new
        return features, parts
