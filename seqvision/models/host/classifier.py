"""A classifier stepped in numpy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from seqvision.models.classifier import SequenceClassifier
from seqvision.models.host.frames import HostFrames
from seqvision.models.host.layers import HostLayers
from seqvision.models.host.product import product
from seqvision.models.host.readouts import HostReadout
from seqvision.models.sequences import Frames
from seqvision.models.steps import Memory


class HostClassifier:
    """`models.steps.read_steps` in numpy, in float32."""

    def __init__(self, model: SequenceClassifier, params: Mapping[str, Any]) -> None:
        """Takes the weights.

        Args:
          model: the network, see `models.steps.step_axis`.
          params: its weights, as numpy arrays.
        """
        self._frames = None
        if isinstance(model.sequence, Frames):
            self._frames = HostFrames(params["sequence"]["cnn"], model.sequence.cnn_padding)
        self._layers = HostLayers(model.recurrent, params["recurrent"])
        self._readout = HostReadout(model.readout.kind, params.get("readout", {}))
        self._kernel, self._bias = params["classifier"]["kernel"], params["classifier"]["bias"]

    def read(
        self, steps: np.ndarray, memory: Memory, lengths: np.ndarray | None = None
    ) -> tuple[np.ndarray, Memory]:
        """Reads the next steps.

        Args:
          steps: uint8 (S, n, ...), see `models.steps.read_steps`.
          memory: after the steps before.
          lengths: (S,), how many of the steps each sequence has; n by default.

        Returns:
          Logits (S, n, K), and the memory after each sequence's last step.
        """
        mask = None if lengths is None else np.arange(steps.shape[1]) < lengths[:, None]
        inputs = np.divide(steps, np.float32(255), dtype=np.float32)
        if self._frames is not None:
            inputs = self._frames.read(inputs)
        else:
            inputs = inputs.reshape(*steps.shape[:2], -1)
        outputs, layers = self._layers.read(inputs, memory[0], mask)
        features, parts = self._readout.read(outputs, memory[1], mask)
        return product(features, self._kernel) + self._bias, (layers, parts)
