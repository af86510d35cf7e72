"""The user's examples, gathered from files: cut into splits, brought to one size, put in arrays."""

import dataclasses
from pathlib import Path

import numpy as np

from seqvision.data.dataset import ArraySplit, Dataset, Split
from seqvision.data.paths import few, shown
from seqvision.data.pixels import HostFrames, fit
from seqvision.data.split_rule import cut, fraction_of
from seqvision.errors import UserError


@dataclasses.dataclass(frozen=True)
class Example:
    """One image or clip.

    Attributes:
      name: the file, or the array that it comes from.
      frames: uint8 (T, height, width, channels); an image is one frame.
      label: 0 to K - 1.
      fraction: see `split_rule`.
    """

    name: str
    frames: HostFrames
    label: int
    fraction: float


def make_example(name: str, frames: HostFrames, label: int, size: tuple[int, int, int]) -> Example:
    """Resizes the frames as far as `size` (height, width, channels) is known; 0 is unknown."""
    height, width, channels = (
        asked or own for asked, own in zip(size, frames.shape[1:], strict=True)
    )
    return Example(name, fit(frames, height, width, channels), label, fraction_of(frames))


def make_dataset(
    path: Path,
    class_names: tuple[str, ...],
    given: dict[str, list[Example]],
    of_clips: bool,
    size: tuple[int, int, int],
    validation_fraction: float,
    test_fraction: float,
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
    longest = max(len(e.frames) for examples in splits.values() for e in examples)
    arrays: dict[str, Split] = {}
    try:
        for split in list(splits):
            given.pop(split, None)
            arrays[split] = _stacked(splits.pop(split), shape, longest, of_clips)
    except MemoryError as error:
        raise UserError(
            f"{where}: does not fit into memory at {shape} (height, width, channels); choose a"
            " smaller config.data.height and config.data.width, or fewer examples"
        ) from error
    return Dataset(
        name=shown(path.stem if path.is_file() else path.resolve().name),
        version="own",
        class_names=class_names,
        splits=arrays,
        input_shape=(longest, *shape) if of_clips else shape,
        fingerprints={split: array.fingerprint() for split, array in arrays.items()},
    )


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
        if example.frames.shape[1:3] != first.frames.shape[1:3]:
            (height, width), (other_height, other_width) = (
                e.frames.shape[1:3] for e in (first, example)
            )
            raise UserError(
                f"{first.name} is {height} x {width} and {example.name} {other_height} x"
                f" {other_width} (height x width); set config.data.height and config.data.width to"
                " bring all to one size"
            )
    height, width = first.frames.shape[1:3]
    return height, width, size[2] or max(example.frames.shape[3] for example in examples)


def _stacked(
    examples: list[Example], shape: tuple[int, int, int], longest: int, of_clips: bool
) -> ArraySplit:
    inputs = np.zeros((len(examples), longest, *shape), np.uint8)
    for clip, example in zip(inputs, examples, strict=True):
        clip[: len(example.frames)] = fit(example.frames, *shape)
    labels = np.array([example.label for example in examples], np.int32)
    names = tuple(example.name for example in examples)
    if not of_clips:
        return ArraySplit(inputs[:, 0], labels, names=names)
    lengths = np.array([len(example.frames) for example in examples], np.int32)
    return ArraySplit(inputs, labels, lengths, names)
