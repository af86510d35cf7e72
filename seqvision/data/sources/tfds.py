"""Image classification sets by their TFDS name, as arrays in memory or streamed."""

import contextlib
import importlib.util
import io
import logging
import math
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

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
from seqvision.data.sources.tfds_records import TfdsSource, scaled, shards_digest
from seqvision.errors import UserError, did_you_mean, explain_os_error, first_line

# tensorflow_datasets is imported where it is used: it takes the better part of a second, and a
# cached set does not need it.
Builder: TypeAlias = Any

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
        with _quiet_log():
            builder = None
            prepared = _only_prepared(folder, name)
            if prepared is None:
                builder = _prepared_builder(name, folder, say, show_progress)
                prepared = Path(builder.data_path)
            path = cache_path(cache, name, prepared, size)
            dataset = _from_cache(path, resident_bytes, say)
            if dataset is not None:
                return dataset
            builder = builder or _prepared_builder(name, folder, say, show_progress)
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


def data_folder(data_dir: str) -> Path:
    """TFDS's data directory: `data_dir`, else `$TFDS_DATA_DIR`, else `~/tensorflow_datasets`."""
    return Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def _only_prepared(folder: Path, name: str) -> Path | None:
    """The prepared folder of `name`, found without TFDS where there is no choice of versions."""
    path, _, version = name.partition(":")
    versions = [
        entry
        for entry in (folder / path).glob(version or "*")
        if re.fullmatch(r"\d+\.\d+\.\d+", entry.name) and (entry / "dataset_info.json").exists()
    ]
    return versions[0] if len(versions) == 1 else None


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


def _prepared_builder(
    name: str, folder: Path, say: Callable[[str], None], show_progress: bool
) -> Builder:
    builder = _builder(name, folder)
    if builder.is_prepared():
        return builder
    from seqvision.data.sources import mnist_family

    unversioned = name.partition(":")[0]
    if _stem(name) in mnist_family.FAMILY:
        mnist_family.prepare(unversioned, folder, say, show_progress)
    elif importlib.util.find_spec("tensorflow") is not None:
        say(f"preparing {builder.info.full_name} in {folder} with TensorFlow, once")
        try:
            builder.download_and_prepare(file_format="array_record")
        except Exception as error:  # TFDS, TensorFlow and the network fail in many ways.
            raise UserError(f"{name}: TFDS could not prepare it: {first_line(error)}") from error
    else:
        raise UserError(
            f"{name}: not prepared in {folder}, and preparing it needs TensorFlow: pip install"
            " tensorflow, then run again; or name the folder of a prepared one with"
            " --config.data.dir"
        )
    return _builder(name, folder)


def _builder(name: str, folder: Path) -> Builder:
    # TFDS prints a banner where a set needs TensorFlow; the error below says it in a line.
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        import tensorflow_datasets as tfds

        try:
            return tfds.builder(name, data_dir=folder)
        except tfds.core.registered.DatasetNotFoundError:
            known = tfds.list_builders(with_community_datasets=False)
            hint = did_you_mean(_stem(name), known)
            raise UserError(
                f"config.data.name: '{name}' is no TFDS dataset{hint} (tfds.list_builders() lists"
                " them)"
            ) from None
        except ImportError as error:
            missing = re.search(r"No module named '(\w+)", str(error))
            module = missing[1] if missing else "another package"
            raise UserError(
                f"config.data.name: TFDS needs {module} for '{name}': pip install {module}, then"
                " run again; or choose another set"
            ) from error
        except Exception as error:
            # TFDS wraps everything here: an unknown config or version, or damaged metadata.
            prepared = _only_prepared(folder, name)
            if prepared is not None:
                raise _damaged(prepared, name, error) from error
            stem, variant = _stem(name), name.partition(":")[0].partition("/")[2]
            variants = list(tfds.builder_cls(stem).builder_configs)
            if variant and variant not in variants:
                hint = did_you_mean(variant, variants, f"{stem}/")
                raise UserError(
                    f"config.data.name: {stem} has no '{variant}'; it has"
                    f" {', '.join(variants) or 'no variants'}{hint}"
                ) from None
            raise UserError(f"config.data.name: '{name}': {first_line(error)}") from error


def _read(
    builder: Builder,
    name: str,
    say: Callable[[str], None],
    show_progress: bool,
    size: tuple[int, int, int],
) -> Dataset:
    image_shape, class_names = _check_kind(builder, name)
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
        raise _damaged(Path(builder.data_path), name, error) from error
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
    if _stem(name) == "emnist":
        return (width, height, channels), True
    return (height, width, channels), False


def _num_bytes(builder: Builder, name: str, size: tuple[int, int, int]) -> int:
    """What the images of both splits are as arrays in memory."""
    image_shape, _ = _check_kind(builder, name)
    read_shape, _ = _read_shape(name, image_shape, size)
    splits = builder.info.splits
    return (splits["train"].num_examples + splits["test"].num_examples) * math.prod(read_shape)


def _streamed(builder: Builder, name: str, size: tuple[int, int, int]) -> Dataset:
    image_shape, class_names = _check_kind(builder, name)
    read_shape, on_its_side = _read_shape(name, image_shape, size)
    height, width, channels = read_shape
    input_shape = (width, height, channels) if on_its_side else read_shape
    variant = builder.builder_config.name if on_its_side else ""
    class_names = tuple(SYMBOLS[variant]) if on_its_side else class_names
    prepared = Path(builder.data_path)
    splits = {}
    for split in ("train", "test"):
        source = TfdsSource(
            _records(builder, split),
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


def _records(builder: Builder, split: str) -> Any:
    """TFDS's source of random access; images in it are not decoded.

    Raises:
      UserError: there is none for files of this format.
    """
    import tensorflow_datasets as tfds

    if builder.info.file_format != tfds.core.FileFormat.ARRAY_RECORD:
        raise UserError(
            f"{builder.data_path}: prepared as {builder.info.file_format.value}, of which no single"
            " example can be read, and too large for memory (config.data.resident_bytes); prepare"
            " it as array_record in another --config.data.dir, or raise config.data.resident_bytes"
        )
    return builder.as_data_source(split=split, decoders={"image": tfds.decode.SkipDecoding()})


def _check_kind(builder: Builder, name: str) -> tuple[tuple[int, int, int], tuple[str, ...]]:
    """Image shape and class names of a set of equally sized, labelled images."""
    import tensorflow_datasets as tfds

    features = builder.info.features
    kinds = dict(features) if isinstance(features, tfds.features.FeaturesDict) else {}
    image, label = kinds.get("image"), kinds.get("label")
    if not isinstance(image, tfds.features.Image) or not isinstance(
        label, tfds.features.ClassLabel
    ):
        raise UserError(
            f"{name}: not an image classification set: it has {', '.join(kinds) or 'no features'};"
            " 'image' and 'label' are needed"
        )
    if None in image.shape or image.np_dtype != np.uint8:
        raise UserError(
            f"{name}: its images are {image.shape} {np.dtype(image.np_dtype).name}; images of one"
            " fixed size and uint8 are needed"
        )
    missing = {"train", "test"} - set(builder.info.splits)
    if missing:
        raise UserError(
            f"{name}: it has the splits {', '.join(builder.info.splits)}; 'train' and 'test' are"
            " needed"
        )
    return image.shape, tuple(label.names)


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
    source = _records(builder, split)
    for start in range(0, len(source), _DECODE_BATCH):
        yield from source.__getitems__(range(start, min(start + _DECODE_BATCH, len(source))))


def _damaged(prepared: Path, name: str, error: Exception) -> UserError:
    from seqvision.data.sources import mnist_family

    found = f"{prepared}: damaged ({first_line(error)})"
    if (prepared / mnist_family.MARKER).exists():
        aside = mnist_family.move_aside(prepared)
        return UserError(
            f"{found}; moved to {aside.name}: run the command again to prepare it afresh"
        )
    if _stem(name) in mnist_family.FAMILY:
        return UserError(f"{found}; move this folder away, then run the command again")
    return UserError(f"{found}; move this folder away and prepare {name} again")


def _stem(name: str) -> str:
    """`emnist` of `emnist/letters:3.1.0`."""
    return re.split("[/:]", name)[0]


@contextlib.contextmanager
def _quiet_log() -> Iterator[None]:
    """Keeps TFDS's warnings about folders, decoders and connections off the screen."""
    loggers = [logging.getLogger(name) for name in ("absl", "urllib3")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
