"""Extraction of features: frames through a frozen backbone, in big batches on all devices."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, UInt8
from tqdm import tqdm

from seqvision.data.preprocessing import to_unit_range
from seqvision.models.backbones import BACKBONES, Backbone
from seqvision.runtime.console import duration_text
from seqvision.runtime.mesh import DATA_AXIS, batch_sharding, replicated, shard_batch

# Frames of a batch on each device.
_ON_CPU, _ON_ACCELERATOR = 16, 256
_SAY_SECONDS = 10.0

HostFrames = UInt8[np.ndarray, "N height width channels"]
HostFeatures = Float32[np.ndarray, "N D"]


class Extractor:
    """A frozen backbone, ready to compute features.

    Attributes:
      name: in `models.backbones.BACKBONES`.
      params: its parameters.
      num_features: D.
      batch_size: of the frames that are computed at once.
    """

    def __init__(self, name: str, params: Mapping[str, Any], compute_dtype: str) -> None:
        """Puts the parameters on the devices of this process."""
        self.name, self.params, self.compute_dtype = name, params, compute_dtype
        self.num_features = BACKBONES[name].num_features
        devices = jax.local_devices()
        kind = (jax.sharding.AxisType.Auto,)
        self._mesh = jax.make_mesh((len(devices),), (DATA_AXIS,), kind, devices=devices)
        on_cpu = devices[0].platform == "cpu"
        self.batch_size = len(devices) * (_ON_CPU if on_cpu else _ON_ACCELERATOR)
        self._placed: Any = None
        model = Backbone(name, dtype=jnp.dtype(compute_dtype))

        def features_of(params: Any, frames: Any) -> Any:
            return model.apply({"params": params}, to_unit_range(frames))

        self._step = shard_batch(features_of, self._mesh, num_replicated=1)

    def start(self, frames: HostFrames) -> Callable[[], HostFeatures]:
        """Starts on a batch of at most `batch_size` frames; call the result for their features."""
        if self._placed is None:
            self._placed = jax.device_put(self.params, replicated(self._mesh))
        padded = np.zeros((self.batch_size, *frames.shape[1:]), np.uint8)
        padded[: len(frames)] = frames
        placed = jax.device_put(padded, batch_sharding(self._mesh))
        features, count = self._step(self._placed, placed), len(frames)
        return lambda: np.asarray(jax.device_get(features))[:count]


class Progress:
    """The progress of an extraction: a bar on a terminal, else a line now and then.

    Attributes:
      computed: frames so far.
    """

    def __init__(self, total: int, say: Callable[[str], None], show_bar: bool) -> None:
        """Begins.

        Args:
          total: frames in all, as far as that is known; else 0.
          say: called with lines.
          show_bar: draw a bar in their place.
        """
        self._total, self._say = total, say
        self._bar = tqdm(total=total or None, unit="frame", disable=not show_bar, leave=False)
        self._show_bar, self.computed, self._done = show_bar, 0, 0
        self._start = self._last = time.perf_counter()

    def advance(self, done: int, computed: int) -> None:
        """Takes note of frames that are done, and how many of them were computed now."""
        self._bar.update(done)
        self._done += done
        self.computed += computed
        now = time.perf_counter()
        if self._show_bar or now - self._last < _SAY_SECONDS or not self._done:
            return
        self._last = now
        text = f"{self._done:,}"
        eta = ""
        if self._total:
            left = (now - self._start) * (self._total - self._done) / self._done
            text, eta = f"{text}/{self._total:,}", f"  ETA {duration_text(max(left, 0))}"
        self._say(f"features of {text} frames  {self.rate:,.1f} frames/s{eta}")

    @property
    def rate(self) -> float:
        """Computed frames a second."""
        return self.computed / max(time.perf_counter() - self._start, 1e-9)

    def close(self) -> None:
        self._bar.close()
        if self.computed:
            self._say(f"features of {self.computed:,} frames computed, {self.rate:,.1f} frames/s")
