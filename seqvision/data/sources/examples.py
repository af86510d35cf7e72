"""The user's examples, gathered from files: cut into splits, brought to one size."""

import dataclasses
import hashlib
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from seqvision.data.dataset import ArraySplit, Dataset, StreamedSplit
from seqvision.data.files.paths import few, shown
from seqvision.data.files.pixels import HostFrames, fit
from seqvision.data.sources.hash_split import cut
from seqvision.errors import UserError
from seqvision.shapes import Indices


@dataclasses.dataclass(frozen=True)
class Example:
    """One image or clip.

    Attributes:
      name: the file, or the array that it comes from.
      shape: (T, height, width, channels) of its frames; an image is one frame.
      label: 0 to K - 1.
      fraction: see `hash_split`.
      read: its frames, uint8 of `shape`: from memory, or from where they lie.
    """

    name: str
    shape: tuple[int, int, int, int]
    label: int
    fraction: float
    read: Callable[[], HostFrames]

    @property
    def num_bytes(self) -> int:
        return math.prod(self.shape)

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


def fit_known(frames: HostFrames, size: tuple[int, int, int]) -> HostFrames:
    """Resizes frames as far as `size` (height, width, channels) is known; 0 is unknown."""
    return fit(frames, *known_shape(frames.shape, size)[1:])


def known_shape(shape: tuple[int, ...], size: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """The shape that frames of `shape` have after `fit_known`."""
    num_frames, *own = shape
    height, width, channels = (asked or given for asked, given in zip(size, own, strict=True))
    return num_frames, height, width, channels


@dataclasses.dataclass(frozen=True)
class ExampleSource:
    """See `dataset.Source`.

    Attributes:
      examples: by their numbers.
      shape: height, width and channels to bring all to.
      longest: frames of the longest.
      of_clips: keep the time axis.
      check: called before examples are read.
    """

    examples: list[Example]
    shape: tuple[int, int, int]
    longest: int
    of_clips: bool
    check: Callable[[], None]

    def __len__(self) -> int:
        return len(self.examples)

    def read(self, numbers: Indices) -> dict[str, np.ndarray]:
        """See `dataset.Source.read`."""
        self.check()
        examples = [self.examples[number] for number in numbers]
        return _stacked(examples, self.shape, self.longest, self.of_clips).arrays


def make_dataset(
    path: Path,
    class_names: tuple[str, ...],
    given: dict[str, list[Example]],
    of_clips: bool,
    size: tuple[int, int, int],
    validation_fraction: float,
    test_fraction: float,
    resident_bytes: float = math.inf,
    stands_for: tuple[str, str] | None = None,
    check: Callable[[], None] = lambda: None,
) -> Dataset:
    """Makes a data set of examples.

    Args:
      path: the file or folder that they come from; its stem or name is the set's name.
      class_names: one for each label.
      given: the examples by the splits that the user made; at least `train`. It is emptied, so
        that no more than one split lies in memory twice.
      of_clips: keep the time axis.
      size: height, width and channels of all; 0 is what all examples have.
      validation_fraction, test_fraction: of `train`, where that split is not given.
      resident_bytes: the set is streamed where its arrays would be larger.
      stands_for: of a set that is streamed, a name and the SHA-256 of something that changes with
        its content; None takes what is known of each example.
      check: of a set that is streamed, called before each batch is read.

    Raises:
      UserError: fewer than two classes, a class without training examples, an empty split,
        examples of different sizes without a `size`.
    """
    where = shown(path)
    for split, examples in given.items():
        if not examples:
            raise UserError(f"{where}: its {split} split is empty; fill it or remove it")
    if len(class_names) < 2:
        only = shown("".join(class_names))
        raise UserError(f"{where}: only one class, '{only}'; at least two are needed")
    splits = cut(given, validation_fraction, test_fraction)
    _check_classes(where, class_names, splits)
    shape = _common_shape(splits, size)
    longest = max(e.shape[0] for examples in splits.values() for e in examples)
    name = shown(path.stem if path.is_file() else path.resolve().name)
    input_shape = (longest, *shape) if of_clips else shape
    num_examples = sum(len(examples) for examples in splits.values())
    if num_examples * math.prod((longest, *shape)) > resident_bytes:
        fingerprints = dict([stands_for]) if stands_for else _fingerprints(splits)
        streamed = {
            split: _streamed(ExampleSource(examples, shape, longest, of_clips, check), input_shape)
            for split, examples in splits.items()
        }
        return Dataset(name, "own", class_names, streamed, input_shape, fingerprints)
    given.clear()
    arrays = _in_memory(where, splits, shape, longest, of_clips)
    fingerprints = {split: array.fingerprint() for split, array in arrays.items()}
    return Dataset(name, "own", class_names, arrays, input_shape, fingerprints)


def _streamed(source: ExampleSource, input_shape: tuple[int, ...]) -> StreamedSplit:
    names = tuple(example.name for example in source.examples)
    return StreamedSplit(source, range(len(source)), input_shape, names)


def _in_memory(
    where: str,
    splits: dict[str, list[Example]],
    shape: tuple[int, int, int],
    longest: int,
    of_clips: bool,
) -> dict[str, ArraySplit]:
    """The examples as arrays. `splits` is emptied, so that one split at most is there twice."""
    arrays: dict[str, ArraySplit] = {}
    try:
        for split in list(splits):
            arrays[split] = _stacked(splits.pop(split), shape, longest, of_clips)
    except MemoryError as error:
        raise UserError(
            f"{where}: does not fit into memory at {shape} (height, width, channels); choose a"
            " smaller config.data.height and config.data.width, or fewer examples"
        ) from error
    return arrays


def _fingerprints(splits: dict[str, list[Example]]) -> dict[str, str]:
    """Of shapes, labels and the 48 bits of SHA-256 that `hash_split` took of each example."""
    fingerprints = {}
    for split, examples in splits.items():
        digest = hashlib.sha256()
        for example in examples:
            digest.update(repr((example.shape, example.label, example.fraction)).encode())
        fingerprints[f"{split} by example"] = digest.hexdigest()
    return fingerprints


def _check_classes(
    where: str, class_names: tuple[str, ...], splits: dict[str, list[Example]]
) -> None:
    trained = {example.label for example in splits["train"]}
    missing = [shown(name) for label, name in enumerate(class_names) if label not in trained]
    if missing:
        named = f"classes {few(missing)} have" if len(missing) > 1 else f"class {missing[0]} has"
        raise UserError(
            f"{where}: {named} no training examples; add some, choose a smaller"
            " config.data.validation_fraction or config.data.test_fraction, or leave the class out"
        )


def _common_shape(
    splits: dict[str, list[Example]], size: tuple[int, int, int]
) -> tuple[int, int, int]:
    examples = [example for split in splits.values() for example in split]
    first = examples[0]
    for example in examples:
        # Those of `size` have been brought to it.
        if example.shape[1:3] != first.shape[1:3]:
            (height, width), (other_height, other_width) = (e.shape[1:3] for e in (first, example))
            raise UserError(
                f"{first.name} is {height} x {width} and {example.name} {other_height} x"
                f" {other_width} (height x width); set config.data.height and config.data.width to"
                " bring all to one size"
            )
    height, width = first.shape[1:3]
    return height, width, size[2] or max(example.shape[3] for example in examples)


def _stacked(
    examples: list[Example], shape: tuple[int, int, int], longest: int, of_clips: bool
) -> ArraySplit:
    inputs = np.zeros((len(examples), longest, *shape), np.uint8)
    for clip, example in zip(inputs, examples, strict=True):
        clip[: example.shape[0]] = fit(example.frames(), *shape)
    labels = np.array([example.label for example in examples], np.int32)
    names = tuple(example.name for example in examples)
    if not of_clips:
        return ArraySplit(inputs[:, 0], labels, names=names)
    lengths = np.array([example.shape[0] for example in examples], np.int32)
    return ArraySplit(inputs, labels, lengths, names)
