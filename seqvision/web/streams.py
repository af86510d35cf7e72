"""What one page reads with: the network of a run, one line, image or clip at a time."""

import abc
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqvision.data.preprocessing import to_unit_range
from seqvision.inference.stream_classifier import StreamClassifier
from seqvision.inference.stream_reader import StreamReader
from seqvision.runs.saved_run import Run

Facts = dict[str, Any]

_MOST_STEPS, _MOST_BYTES = 1024, 1 << 20
"""Of one push, during which other pages wait: less than a second. A page sends 64 steps at most."""


class Stream(abc.ABC):
    """Steps in, JSON values out. Not thread safe; each page has its own."""

    step_bytes: int

    @property
    def most_steps(self) -> int:
        """Of one push."""
        return max(1, min(_MOST_STEPS, _MOST_BYTES // self.step_bytes))

    def push(self, content: bytes) -> dict[str, Any]:
        """Reads the next steps.

        Args:
          content: step after step; see `web/page/onnx_engine.js`.

        Raises:
          ValueError: they are no whole steps, or too many; nothing was read.
        """
        count, rest = divmod(len(content), self.step_bytes)
        if rest or not 0 < count <= self.most_steps:
            several = f"1 to {self.most_steps} steps" if self.most_steps > 1 else "one step"
            raise ValueError(
                f"{len(content)} bytes were pushed; a step has {self.step_bytes}, and one push"
                f" takes {several}"
            )
        return self._read(np.frombuffer(content, np.uint8).reshape(-1, self.step_bytes))

    @abc.abstractmethod
    def _read(self, steps: np.ndarray) -> dict[str, Any]:
        """Reads steps (n, step_bytes)."""

    def finish(self) -> dict[str, Any]:
        """Ends a line; ValueError where there are none."""
        raise ValueError("a classifier has no line to finish; reset begins the next input")

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
    """A classifier: rows, columns, pixels or frames to belief after each."""

    def __init__(self, run: Run, facts: Facts) -> None:
        """See `opener`."""
        self._classifier = StreamClassifier(run)
        self._steps, shape = facts["steps"], tuple(facts["inputs"]["shape"])
        height, _, channels = shape[-3:]
        self._shape = {"columns": (height, channels), "pixels": (channels,)}.get(
            self._steps, shape[1:]
        )
        self.step_bytes = math.prod(self._shape)

    def _read(self, steps: np.ndarray) -> dict[str, Any]:
        inputs = steps.reshape(-1, *self._shape)
        if self._steps == "columns":
            inputs = np.ascontiguousarray(inputs.swapaxes(0, 1))
        beliefs = self._classifier.push(inputs)
        return {"beliefs": [belief.probabilities.tolist() for belief in beliefs]}

    def reset(self) -> None:
        self._classifier.reset()


class WholeStream(Stream):
    """A classifier that needs the whole image: one belief, or those of all its steps."""

    def __init__(self, run: Run, apply: Callable[..., Any]) -> None:
        """See `opener`; `apply` is compiled once for all pages."""
        self._run, self._apply, self._shape = run, apply, run.data.input_shape
        self.step_bytes = math.prod(self._shape)

    @property
    def most_steps(self) -> int:
        """One image, since for each other number of them a program would be compiled."""
        return 1

    def _read(self, steps: np.ndarray) -> dict[str, Any]:
        images = to_unit_range(jnp.asarray(steps.reshape(-1, *self._shape)))
        logits = self._apply({"params": self._run.params}, images)
        beliefs = jax.nn.softmax(logits).reshape(-1, logits.shape[-1])
        return {"beliefs": np.asarray(beliefs).tolist()}

    def reset(self) -> None:
        pass


def opener(run: Run, facts: Facts) -> Callable[[], Stream]:
    """What makes a stream for each page.

    Args:
      run: a trained run that a page can show, see `pages.check_shown`.
      facts: of `exporters.description.describe`.
    """
    if facts["kind"] == "reader":
        return lambda: LineStream(run)
    if facts["steps"]:
        return lambda: BeliefStream(run, facts)
    apply = jax.jit(run.model.apply)
    return lambda: WholeStream(run, apply)
