"""What one page reads with: the network of a run, one line, image or clip at a time."""

import abc
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from seqvision.exporters.onnx_network import whole_network
from seqvision.exporters.onnx_step import network_step
from seqvision.inference.stream_reader import StreamReader
from seqvision.models.classifier import SequenceClassifier
from seqvision.models.line_reader import LineReader
from seqvision.runs.saved_run import Run

Facts = dict[str, Any]

MOST_BYTES = 1 << 20
"""Of one push; a page sends some hundred."""


class Stream(abc.ABC):
    """Steps in, JSON values out. Not thread safe; each page has its own."""

    step_bytes: int

    def push(self, content: bytes) -> dict[str, Any]:
        """Reads the next steps.

        Args:
          content: step after step; see `web/page/onnx_engine.js`.

        Raises:
          ValueError: they are no whole steps, or too many; nothing was read.
        """
        if not content or len(content) % self.step_bytes or len(content) > MOST_BYTES:
            raise ValueError(
                f"{len(content)} bytes were pushed; a step has {self.step_bytes}, and one push"
                f" takes whole steps of up to {MOST_BYTES} bytes together"
            )
        return self._read(np.frombuffer(content, np.uint8).reshape(-1, self.step_bytes))

    @abc.abstractmethod
    def _read(self, steps: np.ndarray) -> dict[str, Any]:
        """Reads steps (n, step_bytes)."""

    @abc.abstractmethod
    def finish(self) -> dict[str, Any]:
        """Ends a line; ValueError where there are none."""

    @abc.abstractmethod
    def reset(self) -> None:
        """Drops what was read."""


class LineStream(Stream):
    """A reader of lines: columns to events."""

    def __init__(self, run: Run) -> None:
        """See `opener`."""
        self._reader = StreamReader(run)
        self.step_bytes = self._reader.height

    def _read(self, steps: np.ndarray) -> dict[str, Any]:
        return {"events": self._plain(self._reader.push(np.ascontiguousarray(steps.T)))}

    def finish(self) -> dict[str, Any]:
        return {"events": self._plain(self._reader.finish())}

    def reset(self) -> None:
        self._reader.reset()

    @staticmethod
    def _plain(events: list[Any]) -> list[dict[str, Any]]:
        names = ("symbol", "columns", "confidence", "final", "ends_word", "column")
        return [{name: getattr(event, name) for name in names} for event in events]


class BeliefStream(Stream):
    """A classifier: rows, columns, pixels or frames (or whole images) to belief after each."""

    def __init__(self, session: Any, facts: Facts) -> None:
        """See `opener`.

        Args:
          session: of onnxruntime; it may be shared.
          facts: of `exporters.description.describe`.
        """
        self._session, self._facts = session, facts
        self._shape, self._steps = tuple(facts["inputs"]["shape"]), facts["steps"]
        height, _, channels = self._shape[-3:]
        sizes = {"columns": (height, channels), "pixels": (channels,), None: self._shape}
        self.step_bytes = int(np.prod(sizes.get(self._steps, self._shape[1:])))
        self._memory: dict[str, np.ndarray] = {}
        self.reset()

    def _read(self, steps: np.ndarray) -> dict[str, Any]:
        if self._steps is None:
            logits = self._session.run(None, {"inputs": steps.reshape(-1, *self._shape)})[0]
            return self._beliefs(logits.reshape(-1, logits.shape[-1]))
        if self._steps == "columns":
            height, _, channels = self._shape
            inputs = steps.reshape(-1, height, channels).swapaxes(0, 1)[None]
        elif self._steps == "pixels":
            inputs = steps[None]
        else:
            inputs = steps.reshape(1, len(steps), *self._shape[1:])
        named = {"inputs": inputs, "lengths": np.array([len(steps)], np.int32)}
        logits, *after = self._session.run(None, named | self._memory)
        self._memory = dict(zip(self._memory, after, strict=True))
        return self._beliefs(logits[0])

    @staticmethod
    def _beliefs(logits: np.ndarray) -> dict[str, Any]:
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return {"beliefs": (powers / powers.sum(axis=-1, keepdims=True)).tolist()}

    def finish(self) -> dict[str, Any]:
        raise ValueError("a classifier has no line to finish; reset begins the next input")

    def reset(self) -> None:
        self._memory = {
            part["name"]: np.full((1, *part["shape"]), part["start"], np.float32)
            for part in self._facts["memory"]
        }


def opener(run: Run, facts: Facts) -> Callable[[], Stream]:
    """What makes a stream for each page.

    Args:
      run: a trained run that a page can show, see `pages.check_shown`.
      facts: of `exporters.description.describe`.
    """
    model = run.model
    if isinstance(model, LineReader):
        return lambda: LineStream(run)
    assert isinstance(model, SequenceClassifier)
    import onnxruntime

    params = jax.tree.map(np.asarray, jax.device_get(run.params))
    build = network_step if facts["steps"] else whole_network
    content = build(model, params, tuple(facts["inputs"]["shape"])).model().SerializeToString()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # Of warnings about its own optimizations.
    options.intra_op_num_threads = 1  # One step is too little for more.
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda: BeliefStream(session, facts)
