"""The data set that a config asks for."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

from seqvision.config.schema import Settings
from seqvision.data.alphabet import Alphabet, normalized
from seqvision.data.dataset import SPLITS, ArraySplit, Dataset, hold_out_validation
from seqvision.data.sources.decoded_cache import cache_folder
from seqvision.data.sources.folders import load_folders
from seqvision.data.sources.line_images import load_lines
from seqvision.data.sources.npz import load_npz
from seqvision.data.sources.tfds import load_tfds
from seqvision.data.streamed import StreamedSplit
from seqvision.data.synthetic.digit_lines import LEVELS, DigitLines, digit_lines
from seqvision.data.synthetic.moving_digits import MovingDigits, moving_digits
from seqvision.errors import UserError

LINE_HEIGHT = 32
"""Rows that images of lines are scaled to, where the config names none."""


def load_dataset(
    settings: Settings, say: Callable[[str], None] = print, show_progress: bool = False
) -> Dataset:
    """Loads, or makes, the examples of all splits.

    Args:
      settings: the config.
      say: called with lines about what takes time or went wrong.
      show_progress: draw progress bars.

    Raises:
      UserError: it cannot be had, or does not fit the network: one line.
    """
    data = settings.data
    size = (data.height, data.width, data.channels)
    match data.source:
        case "npz":
            dataset = load_npz(
                Path(data.path).expanduser(),
                kind=data.kind,
                size=size,
                validation_fraction=data.validation_fraction,
                test_fraction=data.test_fraction,
                resident_bytes=data.resident_bytes,
                cache_dir=cache_folder(data.cache_dir),
                say=say,
            )
        case "folders":
            dataset = load_folders(
                Path(data.path).expanduser(),
                size=size,
                broken_files=data.broken_files,
                validation_fraction=data.validation_fraction,
                test_fraction=data.test_fraction,
                say=say,
                show_progress=show_progress,
                resident_bytes=data.resident_bytes,
                cache_dir=cache_folder(data.cache_dir),
            )
        case "lines":
            symbols = settings.reading.alphabet
            return load_lines(
                Path(data.path).expanduser(),
                height=data.height or LINE_HEIGHT,
                max_columns=settings.lines.width,
                alphabet=Alphabet(tuple(normalized(symbols))) if symbols else None,
                validation_fraction=data.validation_fraction,
                test_fraction=data.test_fraction,
                show_progress=show_progress,
            )
        case _:
            # What is made of a set is made of arrays.
            most = data.resident_bytes if data.source == "tfds" else math.inf
            whole = load_tfds(data.name, data.dir, data.cache_dir, say, show_progress, size, most)
            train, test = whole.splits["train"], whole.splits["test"]
            assert isinstance(train, ArraySplit | StreamedSplit)
            held_out = hold_out_validation(train, data.validation_examples, whole.name)
            dataset = dataclasses.replace(whole, splits={**held_out, "test": test})
            if data.source == "moving_digits":
                return _moving_digits(settings, dataset)
            if data.source == "digit_lines":
                return _digit_lines(settings, dataset)
    _check_fits(settings, dataset)
    return dataset


def _moving_digits(settings: Settings, digits: Dataset) -> Dataset:
    fields = dataclasses.asdict(settings.clips)
    num_clips = {name: fields.pop(f"{name}_clips") for name in SPLITS}
    recipe = MovingDigits(**fields | {"min_frames": fields["min_frames"] or fields["num_frames"]})
    wanted = {name: number for name, number in num_clips.items() if number > 0}
    return moving_digits(recipe, digits, settings.seed, wanted)


def _digit_lines(settings: Settings, digits: Dataset) -> Dataset:
    lines = settings.lines
    sizes = {"train": lines.train_lines, "validation": lines.validation_lines}

    def recipes_of(levels: str, width: int) -> tuple[DigitLines, ...]:
        return tuple(
            dataclasses.replace(
                LEVELS[level],
                min_symbols=lines.min_symbols,
                max_symbols=lines.max_symbols,
                width=width,
            )
            for level in levels.split("+")
        )

    recipes = dict.fromkeys(SPLITS, recipes_of(lines.level, lines.width))
    recipes["train"] = recipes_of(
        lines.train_level or lines.level, lines.train_width or lines.width
    )
    return digit_lines(recipes, digits, settings.seed, sizes | {"test": lines.test_lines})


def _check_fits(settings: Settings, dataset: Dataset) -> None:
    """Refuses a network that cannot read what the data set holds."""
    sequence = settings.model.sequence
    if dataset.of_clips and sequence != "frames":
        raise UserError(
            f"config.model.sequence: '{sequence}' reads images, but {dataset.name} holds clips of"
            f" {dataset.input_shape[0]} frames; choose frames"
        )
    if not dataset.of_clips and sequence == "frames":
        volumes = ", or config.data.kind=clips if these are clips"
        raise UserError(
            f"config.model.sequence: 'frames' reads clips, but {dataset.name} holds images; choose"
            f" another one, such as cnn_rows{volumes if settings.data.source == 'npz' else ''}"
        )
    height, width = dataset.input_shape[-3:-1]
    patch = settings.model.patch_size
    if sequence == "patches" and (height % patch or width % patch):
        raise UserError(
            f"config.model.patch_size: patches of {patch}x{patch} do not tile images of"
            f" {height}x{width}; choose a size that divides both, or scale the images with"
            " config.data.height and config.data.width"
        )
