"""Image classification sets by their TFDS name, as arrays in memory or streamed."""

import importlib.util
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from seqvision.data.dataset import ArraySplit, Dataset, StreamedSplit
from seqvision.data.sources.decoded_cache import (
    DamagedCacheError,
    cache_folder,
    cache_path,
    read_cache,
    write_cache,
)
from seqvision.data.sources.emnist import FIRST_LABEL, SYMBOLS, upright
from seqvision.data.sources.tfds_builder import (
    Builder,
    damaged,
    data_folder,
    image_shape_and_classes,
    only_prepared,
    open_records,
    prepared_builder,
    stem,
)
from seqvision.data.sources.tfds_records import TfdsSource, scaled, shards_digest
from seqvision.errors import UserError, explain_os_error
from seqvision.runtime.console import quiet

_DECODE_BATCH = 5000


def load_tfds(
    name: str,
    data_dir: str = "",
    cache_dir: str = "",
    say: Callable[[str], None] = print,
    show_progress: bool = False,
    size: tuple[int, int, int] = (0, 0, 0),
    resident_bytes: float = math.inf,
) -> Dataset:
    """Loads a TFDS image classification set, preparing it first where that is possible.

    Args:
      name: TFDS name, such as `mnist`, `emnist/letters` or `cifar10:3.0.2`.
      data_dir: TFDS's data directory; "" is TFDS's own default.
      cache_dir: where decoded arrays are kept; "" is the user's cache folder.
      say: called with lines about what takes time or went wrong.
      show_progress: draw progress bars.
      size: height, width and channels that images are scaled to; 0 is as they are.
      resident_bytes: a larger set is streamed, example by example from its prepared files.

    Returns:
      The train and test splits as uint8 images and int32 labels, in TFDS's order; EMNIST upright.

    Raises:
      UserError: unknown name, nothing prepared and no way to prepare it, damaged files: one line.
    """
    folder = data_folder(data_dir)
    cache = cache_folder(cache_dir)
    try:
        with quiet("absl", "urllib3"):  # Of folders, decoders and connections.
            builder = None
            prepared = only_prepared(folder, name)
            if prepared is None:
                builder = prepared_builder(name, folder, say, show_progress)
                prepared = Path(builder.data_path)
            path = cache_path(cache, name, prepared, size)
            dataset = _from_cache(path, resident_bytes, say)
            if dataset is not None:
                return dataset
            builder = builder or prepared_builder(name, folder, say, show_progress)
            if _num_bytes(builder, name, size) > resident_bytes:
                return _streamed(builder, name, size)
            dataset = _read(builder, name, say, show_progress, size)
    except OSError as error:
        raise UserError(explain_os_error(error, folder, "config.data.dir")) from error
    try:
        write_cache(path, dataset)
    except OSError as error:
        reason = explain_os_error(error, cache, "config.data.cache_dir")
        say(f"not cached, so the next start decodes again: {reason}")
    return dataset


def _from_cache(path: Path, resident_bytes: float, say: Callable[[str], None]) -> Dataset | None:
    try:
        if path.stat().st_size > resident_bytes:  # It is hardly larger than its arrays.
            return None
        return read_cache(path)
    except FileNotFoundError:
        return None
    except DamagedCacheError as error:
        say(f"{error}; reading the prepared data again")
        return None


def _read(
    builder: Builder,
    name: str,
    say: Callable[[str], None],
    show_progress: bool,
    size: tuple[int, int, int],
) -> Dataset:
    image_shape, class_names = image_shape_and_classes(builder, name)
    read_shape, on_its_side = _read_shape(name, image_shape, size)
    say(f"decoding {builder.info.full_name}, once")
    try:
        train, test = (
            _read_split(builder, split, image_shape, read_shape, show_progress)
            for split in ("train", "test")
        )
    except (UserError, MemoryError, PermissionError):
        raise
    except Exception as error:  # array_record, Pillow and TFDS each raise their own.
        raise damaged(Path(builder.data_path), name, error) from error
    for split_name, split in (("train", train), ("test", test)):
        if split.labels.min() < 0 or split.labels.max() >= len(class_names):
            raise UserError(f"{name}: its {split_name} split has no labels; choose another set")
    dataset = Dataset(
        name=name,
        version=str(builder.version),
        class_names=class_names,
        splits={"train": train, "test": test},
        input_shape=read_shape,
        fingerprints={"train": train.fingerprint(), "test": test.fingerprint()},
    )
    return upright(dataset, builder.builder_config.name) if on_its_side else dataset


def _read_shape(
    name: str, image_shape: tuple[int, int, int], size: tuple[int, int, int]
) -> tuple[tuple[int, int, int], bool]:
    """What images are scaled to as TFDS has them, and whether they lie on their side."""
    height, width, channels = (asked or own for asked, own in zip(size, image_shape, strict=True))
    if stem(name) == "emnist":
        return (width, height, channels), True
    return (height, width, channels), False


def _num_bytes(builder: Builder, name: str, size: tuple[int, int, int]) -> int:
    """What the images of both splits are as arrays in memory."""
    image_shape, _ = image_shape_and_classes(builder, name)
    read_shape, _ = _read_shape(name, image_shape, size)
    splits = builder.info.splits
    return (splits["train"].num_examples + splits["test"].num_examples) * math.prod(read_shape)


def _streamed(builder: Builder, name: str, size: tuple[int, int, int]) -> Dataset:
    image_shape, class_names = image_shape_and_classes(builder, name)
    read_shape, on_its_side = _read_shape(name, image_shape, size)
    height, width, channels = read_shape
    input_shape = (width, height, channels) if on_its_side else read_shape
    variant = builder.builder_config.name if on_its_side else ""
    class_names = tuple(SYMBOLS[variant]) if on_its_side else class_names
    prepared = Path(builder.data_path)
    splits = {}
    for split in ("train", "test"):
        source = TfdsSource(
            open_records(builder, split),
            prepared,
            image_shape,
            read_shape,
            len(class_names),
            FIRST_LABEL.get(variant, 0),
            on_its_side,
        )
        splits[split] = StreamedSplit(source, range(len(source)), input_shape)
    return Dataset(
        name=name,
        version=str(builder.version),
        class_names=class_names,
        splits=splits,
        input_shape=input_shape,
        fingerprints={"shards by size": shards_digest(prepared)},
    )


def _read_split(
    builder: Builder,
    split: str,
    image_shape: tuple[int, int, int],
    read_shape: tuple[int, ...],
    show_progress: bool,
) -> ArraySplit:
    num_examples = builder.info.splits[split].num_examples
    images = np.empty((num_examples, *read_shape), np.uint8)
    labels = np.empty(num_examples, np.int32)
    examples = _examples(builder, split)
    index = -1
    progress = tqdm(examples, split, num_examples, disable=not show_progress, leave=False)
    for index, example in enumerate(progress):
        images[index] = scaled(example["image"], image_shape, read_shape)
        labels[index] = example["label"]
    if index + 1 != num_examples:
        raise ValueError(f"{index + 1} {split} examples where {num_examples} belong")
    return ArraySplit(images, labels)


def _examples(builder: Builder, split: str) -> Iterator[dict[str, Any]]:
    import tensorflow_datasets as tfds

    if builder.info.file_format != tfds.core.FileFormat.ARRAY_RECORD:
        if importlib.util.find_spec("tensorflow") is None:
            raise UserError(
                f"{builder.data_path}: prepared as {builder.info.file_format.value}, which only"
                " TensorFlow reads; pip install tensorflow, or prepare it as array_record in"
                " another --config.data.dir"
            )
        yield from tfds.as_numpy(builder.as_dataset(split=split))
        return
    source = open_records(builder, split)
    for start in range(0, len(source), _DECODE_BATCH):
        yield from source.__getitems__(range(start, min(start + _DECODE_BATCH, len(source))))
