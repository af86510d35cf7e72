"""The user's examples, gathered from files: cut into splits, brought to one size."""

import dataclasses
import hashlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seqvision.data.dataset import ArraySplit, Dataset, StreamedSplit
from seqvision.data.files.paths import shown
from seqvision.data.files.pixels import HostFrames, fit
from seqvision.data.files.tones import Range
from seqvision.data.sources.brightness_range import check_differ, check_values
from seqvision.data.sources.hash_split import cut
from seqvision.data.sources.leaks import HasContent, leaks
from seqvision.data.sources.loading import Loading, Size, size_of
from seqvision.data.sources.target_checks import checked_targets
from seqvision.data.targets import CLASSES, Targets
from seqvision.errors import UserError
from seqvision.shapes import Indices

_FEW = 8


@dataclasses.dataclass(frozen=True)
class Example:
    """One image or clip.

    Attributes:
      name: the file, or the array that it comes from.
      shape: (T, height, width, channels) of its frames; an image is one frame.
      label: 0 to K - 1; or another target, see `targets.Targets.array`.
      fraction: see `hash_split`; of its group, if it has one.
      pixels: the same of what is read; another number for deep and transparent pictures.
      read: its frames, uint8 of `shape`: from memory, or from where they lie.
      group: see `groups`; "" for none.
    """

    name: str
    shape: tuple[int, int, int, int]
    label: Any
    fraction: float
    pixels: float
    read: Callable[[], HostFrames]
    group: str = ""

    def frames(self) -> HostFrames:
        """What `read` reads.

        Raises:
          UserError: it is not what it was, or cannot be read any more.
        """
        frames = self.read()
        if frames.shape != self.shape:
            raise UserError(
                f"{self.name}: it changed since it was scanned: {frames.shape} where it was"
                f" {self.shape} (frames, height, width, channels); bring back what it was"
            )
        return frames


def fit_known(frames: HostFrames, size: Size) -> HostFrames:
    """Resizes frames as far as `size` is known."""
    return fit(frames, *known_shape(frames.shape, size)[1:])


def known_shape(shape: tuple[int, ...], size: Size) -> tuple[int, int, int, int]:
    """The shape that frames of `shape` have after `fit_known`."""
    num_frames, height, width, channels = shape
    return num_frames, *size_of((height, width, channels), size)


@dataclasses.dataclass(frozen=True)
class Form:
    """What all examples of a set are brought to.

    Attributes:
      shape: T, the frames of the longest, height, width and channels.
      of_clips: keep the time axis.
      targets: what the labels are.
    """

    shape: tuple[int, int, int, int]
    of_clips: bool
    targets: Targets = CLASSES

    @property
    def input_shape(self) -> tuple[int, ...]:
        """See `Dataset`."""
        return self.shape if self.of_clips else self.shape[1:]

    def stacked(self, examples: list[Example]) -> ArraySplit:
        """The examples as arrays."""
        inputs = np.zeros((len(examples), *self.shape), np.uint8)
        for clip, example in zip(inputs, examples, strict=True):
            clip[: example.shape[0]] = fit(example.frames(), *self.shape[1:])
        labels = self.labels(examples)
        names = tuple(example.name for example in examples)
        if not self.of_clips:
            return ArraySplit(inputs[:, 0], labels, names=names, groups=groups_of(examples))
        lengths = np.array([example.shape[0] for example in examples], np.int32)
        return ArraySplit(inputs, labels, lengths, names, groups_of(examples))

    def labels(self, examples: list[Example]) -> np.ndarray:
        """Their labels as one array."""
        return self.targets.array([example.label for example in examples], self.shape[0])


def groups_of(examples: Sequence[HasContent]) -> tuple[str, ...]:
    """Of each; () where none is known."""
    groups = tuple(example.group for example in examples)
    return groups if any(groups) else ()


@dataclasses.dataclass(frozen=True)
class ExampleSource:
    """See `dataset.Source`.

    Attributes:
      examples: by their numbers.
      form: of all.
      check: called before examples are read.
    """

    examples: list[Example]
    form: Form
    check: Callable[[], None]

    def __len__(self) -> int:
        return len(self.examples)

    def read(self, numbers: Indices) -> dict[str, np.ndarray]:
        """See `dataset.Source.read`."""
        self.check()
        return self.form.stacked([self.examples[number] for number in numbers]).arrays

    def split(self) -> StreamedSplit:
        """All examples, streamed."""
        names, groups = tuple(one.name for one in self.examples), groups_of(self.examples)
        return StreamedSplit(self, range(len(self)), self.form.input_shape, names, groups)


def make_dataset(
    path: Path,
    class_names: tuple[str, ...],
    given: dict[str, list[Example]],
    of_clips: bool,
    loading: Loading,
    stands_for: tuple[str, str] | None = None,
    check: Callable[[], None] = lambda: None,
    targets: Targets = CLASSES,
    values: Callable[[], Range | None] = lambda: None,
) -> Dataset:
    """Makes a data set of examples.

    Args:
      path: the file or folder that they come from; its stem or name is the set's name.
      class_names: one for each label.
      given: the examples by the splits that the user made; at least `train`. It is emptied, so
        that no more than one split lies in memory twice.
      of_clips: keep the time axis.
      loading: the size of all, what to hold out of `train`, and from which size on to stream.
      stands_for: of a set that is streamed, a name and the SHA-256 of something that changes with
        its content; None takes what is known of each example.
      check: of a set that is streamed, called before each batch is read.
      targets: what the labels are.
      values: see `check_values`.

    Raises:
      UserError: fewer than two classes, a class without training examples, an empty split,
        examples of different sizes without a size to bring them to, all pixels equal.
    """
    where = shown(path)
    for split, examples in given.items():
        if not examples:
            raise UserError(f"{where}: its {split} split is empty; fill it or remove it")
    if not class_names and targets.gives_classes:
        raise UserError(f"{where}: no target of its train split is known; give it some")
    if targets.gives_classes and len(class_names) < 2:
        only = shown("".join(class_names))
        raise UserError(f"{where}: only one class, '{only}'; at least two are needed")
    parts = _cut(where, given, loading)
    shape = _common_shape(parts, loading.size)
    targets = checked_targets(where, class_names, parts, targets, shape[0], loading.say)
    for line in leaks(parts):
        loading.say(f"{where}: {line}")
    form = Form(shape, of_clips, targets)
    num_examples = sum(map(len, parts.values()))
    splits: dict[str, StreamedSplit] | dict[str, ArraySplit]
    if num_examples * math.prod(form.shape) > loading.resident_bytes:
        fingerprints = dict([stands_for]) if stands_for else _fingerprints(parts)
        splits = {name: ExampleSource(part, form, check).split() for name, part in parts.items()}
    else:
        given.clear()
        splits = _in_memory(where, parts, form)
        fingerprints = {name: split.fingerprint() for name, split in splits.items()}
    check_values(where, splits["train"], loading.say, loading.tones, values)
    name = shown(path.stem if path.is_file() else path.resolve().name)
    return Dataset(
        name, "own", class_names, splits, form.input_shape, fingerprints, targets=targets
    )


def _cut(where: str, given: dict[str, list[Example]], loading: Loading) -> dict[str, list[Example]]:
    """See `hash_split.cut`. Where few pictures differ, black ones are blamed before a fraction."""
    try:
        groups = {example.group for example in given["train"]} != {""}
        return cut(given, loading.validation_fraction, loading.test_fraction, groups)
    except UserError:
        different = {example.fraction: example for example in given["train"]}
        if len(different) <= _FEW:
            check_differ(where, (example.frames() for example in different.values()))
        raise


def _in_memory(where: str, parts: dict[str, list[Example]], form: Form) -> dict[str, ArraySplit]:
    """The examples as arrays. `parts` is emptied, so that one split at most is there twice."""
    try:
        return {name: form.stacked(parts.pop(name)) for name in list(parts)}
    except MemoryError as error:
        raise UserError(
            f"{where}: does not fit into memory at {form.shape[1:]} (height, width, channels);"
            " choose a smaller config.data.height and config.data.width, or fewer examples"
        ) from error


def _fingerprints(splits: dict[str, list[Example]]) -> dict[str, str]:
    """Of shapes, labels and the 48 bits of SHA-256 that `hash_split` took of each example."""
    fingerprints = {}
    for split, examples in splits.items():
        digest = hashlib.sha256()
        for example in examples:
            label = np.asarray(example.label).tolist()
            digest.update(repr((example.shape, label, example.pixels)).encode())
        fingerprints[f"{split} by example"] = digest.hexdigest()
    return fingerprints


def _common_shape(splits: dict[str, list[Example]], size: Size) -> tuple[int, int, int, int]:
    examples = [example for split in splits.values() for example in split]
    first = examples[0]
    height, width = first.shape[1:3]
    for example in examples:
        # Those of `size` have been brought to it.
        if example.shape[1:3] != (height, width):
            raise UserError(
                f"{first.name} is {height} x {width} and {example.name} {example.shape[1]} x"
                f" {example.shape[2]} (height x width); set config.data.height and"
                " config.data.width to bring all to one size"
            )
    longest = max(example.shape[0] for example in examples)
    return longest, height, width, size[2] or max(example.shape[3] for example in examples)
