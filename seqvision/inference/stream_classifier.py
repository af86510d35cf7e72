"""Live classification of images and clips whose steps (rows, frames, ...) arrive one by one."""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seqvision.inference.decision import DecisionRule
from seqvision.inference.decision_curve import DecisionCurve, decision_curve, labelled
from seqvision.inference.stream_engines import classifier_steps, create_classifier_network
from seqvision.inference.streams import Streams, checked_count, is_count
from seqvision.metrics.numerics import sigmoid
from seqvision.models.classifier import SequenceClassifier
from seqvision.runs.saved_run import Run, check_targets, load_run
from seqvision.runs.trained_data import load_trained_on


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Belief:
    """What the network thinks of an image or clip after one of its steps.

    Attributes:
      stream: the number of its stream.
      step: how many steps have been read, from 1.
      classes: the most probable class or label, 0 to K - 1; of a run that has a class for every
        frame, that of this frame.
      label: its name.
      probabilities: float32 (K,), sum 1; of several labels at once, of each by itself; of a run
        that predicts a number, 1.
      value: the number that a run predicts, in the units of its data; None for classes.
      decided: whether the rule holds now, or held before, or the end is reached.
      decision: the class that was the most probable when it was decided; None before, and where
        each frame has a class of its own.
    """

    stream: int
    step: int
    classes: int
    label: str
    probabilities: np.ndarray
    decided: bool
    decision: int | None
    value: float | None = None


class _Seen(NamedTuple):
    """What is kept of a stream: the number of its steps, the last belief, the decision.

    The belief is (K,): probabilities, or the number that the network predicts.
    """

    num_steps: int = 0
    belief: np.ndarray | None = None
    decision: int | None = None


class StreamClassifier(Streams[Belief]):
    """A trained network that classifies images or clips while they arrive, one or many at a time.

        classifier = StreamClassifier.from_run("runs/row_lstm", rule="probability:0.99")
        for number in range(28):
            [belief] = classifier.push(image[number : number + 1])  # uint8 (1, 28)
            if belief.decided:
                print(belief.label)
                break
        classifier.finish()

    A step is what it was in training: a row, a column, a pixel or a frame. After each one, the
    belief is what `inference.predictor.Predictor` says of a clip that ends there. It keeps no
    steps. Up to 16 streams of a float32 network are read on the host, in numpy, if a step of all
    of them is little work; others on the devices, where the first push of 1, of up to 8 and of up
    to 64 steps compiles a program.

    Attributes:
      num_streams: S, how many images or clips it reads side by side.
      num_steps: how many steps one has at most; None where there is no end.
      class_names: of the K classes.
    """

    _name, _time_axis = "classifier", 0

    def __init__(
        self, run: Run, num_streams: int = 1, rule: DecisionRule | str | None = None
    ) -> None:
        """Gets ready for new images or clips, with the weights of a run.

        Args:
          run: a trained run.
          num_streams: how many to read side by side.
          rule: when to decide, or its text, such as `probability:0.95`; None: at the end.

        Raises:
          UserError: the run reads text or needs whole images, or no such rule.
          ValueError: there is no stream.
        """
        self._axis, self._steps = classifier_steps(run)
        self._run = run
        self._targets = run.data.targets
        self._decides = self._targets.kind == "class"
        self.rule = rule
        self.class_names = run.data.class_names
        shape, self._window = run.data.input_shape, run.settings.data.window
        self._step_shape = (*shape[: self._axis], *shape[self._axis + 1 :])
        self.num_steps: int | None = shape[self._axis]
        if self._steps == "pixels":
            self.num_steps, self._step_shape = shape[0] * shape[1], shape[2:]
        elif run.data.of_clips:
            self.num_steps = self._window or None
        assert isinstance(run.model, SequenceClassifier)
        network = create_classifier_network(
            run.model, run.params, shape, checked_count(num_streams)
        )
        super().__init__(run, num_streams, network)
        self._seen = [_Seen()] * num_streams

    @classmethod
    def from_run(
        cls,
        workdir: str | Path,
        num_streams: int = 1,
        seed: int | None = None,
        rule: DecisionRule | str | None = None,
    ) -> "StreamClassifier":
        """Takes the weights of a trained run.

        Args:
          workdir: the run's folder.
          num_streams, rule: see `StreamClassifier`.
          seed: of a run of several seeds, whose weights; by default those of the first.

        Raises:
          UserError: there is no trained run, or one that cannot classify step by step.
        """
        return cls(load_run(Path(workdir), seed), num_streams, rule)

    @property
    def rule(self) -> DecisionRule | None:
        """When a class is decided on; None: at the end.

        It may be set at any time, to a rule or to its text, such as `probability:0.95`; anything
        else raises UserError, and the rule stays.
        """
        return self._rule

    @rule.setter
    def rule(self, rule: Any) -> None:
        new = DecisionRule.of(rule)
        if new is not None:
            check_targets(self._run, "a decision")
        self._rule = new

    def push(self, steps: Any) -> list[Belief]:
        """Reads the next steps of an image or clip, or of several in one call.

        Args:
          steps: uint8, as in training: rows (n, width, channels), columns (height, n, channels),
            pixels (n, channels) row by row, or frames (n, height, width, channels), any n. The
            channel axis may be left out where there is one channel. Or such arrays by the numbers
            of their streams, 0 to S - 1.

        Returns:
          The belief after each of these steps, stream by stream.

        Raises:
          ValueError: an array of another shape or type, more steps than there can be, or no such
            stream; nothing was read, of no stream.
        """
        return super().push(steps)

    def finish(self, stream: int | Iterable[int] = 0) -> list[Belief]:
        """Ends an image or clip, or several, and starts the next one.

        Args:
          stream: which one, or which ones.

        Returns:
          The last belief of each, now decided; none of those of which nothing was read.

        Raises:
          ValueError: no such stream.
        """
        streams = self._streams(stream)
        beliefs = []
        for one in dict.fromkeys(streams):
            num_steps, belief, decision = self._seen[one]
            if belief is not None:
                if decision is None and self._decides:
                    decision = int(belief.argmax())
                beliefs.append(self._belief(one, num_steps, belief, decision))
        self.reset(streams)
        return beliefs

    @property
    def step_name(self) -> str:
        """What a step is: rows, columns, pixels or frames."""
        return self._steps

    def pushes(self, array: np.ndarray) -> tuple[list[np.ndarray], int]:
        """An image or clip, step by step as `push` takes them.

        Args:
          array: uint8 (height, width, channels), or of a clip (T, height, width, channels).

        Returns:
          The steps, and how many more of a clip are left out behind its first window.
        """
        if self._steps == "pixels":
            array = array.reshape(-1, array.shape[-1])
        count = array.shape[self._axis]
        most = min(count, self.num_steps or count)
        return [array.take([n], self._axis) for n in range(most)], count - most

    def calibrate(
        self,
        inputs: Any = None,
        labels: Any = None,
        lengths: Any = None,
        *,
        measure: str = "probability",
        within: float = 0.005,
    ) -> DecisionCurve:
        """How much has to be seen for how much accuracy, and the rule for it; it is not set.

            classifier.rule = classifier.calibrate().rule

        Args:
          inputs: uint8 images (N, height, width, channels), or clips (N, T, height, width,
            channels) of which those longer than `config.data.window` are read that far; by default
            the validation split of the run's data.
          labels: (N,) int, 0 to K - 1.
          lengths: (N,) int, the frames of each clip; all by default.
          measure, within: see `decision_curve.decision_curve`.

        Raises:
          UserError: no such measure, no examples, or the run's data are not there.
          ValueError: arrays of other shapes, types or values.
        """
        if inputs is None:
            split = load_trained_on(self._run, self._run.settings).split("validation")
        else:
            split = labelled(self._run.data, inputs, labels, lengths)
        return decision_curve(self._run, split, measure, within)

    def _read(self, steps: dict[int, np.ndarray]) -> list[Belief]:
        beliefs: list[Belief] = []
        for logits, lengths in self._logits(steps):
            beliefs += self._beliefs(logits, lengths)
        return sorted(beliefs, key=lambda belief: belief.stream)

    def _beliefs(self, logits: np.ndarray, lengths: Sequence[int]) -> list[Belief]:
        found = self._activated(logits)
        sure = np.zeros(found.shape[:2], np.bool_)
        if self.rule is not None:
            sure = self.rule.holds(found)
        beliefs = []
        for stream, length in enumerate(lengths):
            for step in range(length):
                belief = found[stream, step].copy()
                number, _, decision = self._seen[stream]
                number += 1
                at_end = number == self.num_steps and self._decides
                if decision is None and (sure[stream, step] or at_end):
                    decision = int(belief.argmax())
                self._seen[stream] = _Seen(number, belief, decision)
                beliefs.append(self._belief(stream, number, belief, decision))
        return beliefs

    def _activated(self, logits: np.ndarray) -> np.ndarray:
        """(S, n, K): probabilities, or numbers in the units of the data."""
        if self._targets.kind == "number":
            offset, scale = np.float32(self._targets.offset), np.float32(self._targets.scale)
            return offset + scale * logits
        if self._targets.kind == "labels":
            return sigmoid(logits).astype(np.float32)
        exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return exponentials / exponentials.sum(axis=-1, keepdims=True)

    def _belief(self, stream: int, step: int, belief: np.ndarray, decision: int | None) -> Belief:
        winner, is_decided, value = int(belief.argmax()), decision is not None, None
        if self._targets.kind == "number":
            belief, value = np.ones(1, np.float32), float(belief[0])
        label = self.class_names[winner]
        return Belief(stream, step, winner, label, belief, is_decided, decision, value)

    def _checked(self, stream: int, steps: Any) -> np.ndarray:
        array = np.asarray(steps)
        found = f"{self._steps} are {array.dtype} {array.shape}"
        wanted = [str(size) for size in self._step_shape]
        wanted.insert(self._axis, f"any number of {self._steps}")
        reads = f"this run reads uint8 ({', '.join(wanted)}), 0 to 255"
        num_axes = 1 + len(self._step_shape)
        if array.ndim == num_axes - 1 and self._step_shape[-1] == 1:
            array = array[..., None]
        if array.ndim == num_axes:
            array = np.moveaxis(array, self._axis, 0)
        if array.ndim != num_axes or array.shape[1:] != self._step_shape:
            raise ValueError(f"{found}; {reads}")
        self._check_bytes(array, found, reads)
        seen = self._seen[stream].num_steps
        if self.num_steps is not None and seen + len(array) > self.num_steps:
            whole = "an image has no more"
            if self._window:
                whole = "no window of a clip has more (config.data.window)"
            raise ValueError(
                f"stream {stream}: {len(array)} more {self._steps} after {seen} of"
                f" {self.num_steps}; {whole}: call finish({stream}) or reset({stream}) before the"
                " next"
            )
        return array

    def _start(self, stream: int) -> None:
        self._seen[stream] = _Seen()

    def _kept(self) -> tuple[_Seen, ...]:
        return tuple(self._seen)

    def _keep(self, kept: tuple[Any, ...]) -> None:
        self._seen = [_Seen(*seen) for seen in kept]

    def _fits(self, kept: tuple[Any, ...]) -> bool:
        return all(self._is_seen(seen) for seen in kept)

    def _is_seen(self, seen: Any) -> bool:
        if not (isinstance(seen, tuple) and len(seen) == len(_Seen._fields)):
            return False
        number, belief, decision = seen
        classes, most = len(self.class_names), self.num_steps
        if not is_count(number) or (most is not None and number > most):
            return False
        if number == 0:
            return belief is None and decision is None
        if not isinstance(belief, np.ndarray):
            return False
        is_belief = (belief.shape, belief.dtype) == ((classes,), np.float32)
        if self._targets.kind != "number":
            is_belief = is_belief and bool(((belief >= 0) & (belief < 1.001)).all())
        if self._targets.gives_classes:
            is_belief = is_belief and abs(float(belief.sum()) - 1) < 1e-3
        return is_belief and (decision is None or (is_count(decision) and decision < classes))
