"""Image classification sets by their TFDS name, as arrays in memory or streamed."""

import importlib.util
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from seqvision.data.dataset import ArraySplit, Dataset, StreamedSplit
from seqvision.data.sources.decoded_cache import (
    DamagedCacheError,
    cache_folder,
    cache_path,
    read_cache,
    write_cache,
)
from seqvision.data.sources.emnist import FIRST_LABEL, SYMBOLS
from seqvision.data.sources.loading import Loading, Size, size_of
from seqvision.data.sources.set_name import checked_name
from seqvision.data.sources.tfds_builder import (
    Builder,
    damaged,
    data_folder,
    image_shape_and_classes,
    is_of_the_machine,
    only_prepared,
    open_records,
    prepared_builder,
    stem,
)
from seqvision.data.sources.tfds_records import ImageFormat, TfdsSource, shards_digest
from seqvision.errors import UserError, explain_os_error
from seqvision.runtime.console import quiet

_DECODE_BATCH = 5000
_DEFAULTS = Loading()


def load_tfds(name: str, data_dir: str = "", loading: Loading = _DEFAULTS) -> Dataset:
    """Loads a TFDS image classification set, preparing it first where that is possible.

    Args:
      name: TFDS name, such as `mnist`, `emnist/letters` or `cifar10:3.0.2`.
      data_dir: TFDS's data directory; "" is TFDS's own default.
      loading: the size of all images, from which size on the set is streamed, example by example
        from its prepared files, and where decoded arrays are kept: by default in the user's cache
        folder.

    Returns:
      The train and test splits as uint8 images and int32 labels, in TFDS's order; EMNIST upright.

    Raises:
      UserError: unknown name, nothing prepared and no way to prepare it, damaged files: one line.
    """
    name, folder = checked_name(name), data_folder(data_dir)
    cache = loading.cache_dir or cache_folder("")
    try:
        with quiet("absl", "urllib3"):  # Of folders, decoders and connections.
            builder = None
            prepared = only_prepared(folder, name)
            if prepared is None:
                builder = prepared_builder(name, folder, loading.say, loading.show_progress)
                prepared = Path(builder.data_path)
            path = cache_path(cache, name, prepared, loading.size)
            dataset = _from_cache(path, loading)
            if dataset is not None:
                return dataset
            if builder is None:
                builder = prepared_builder(name, folder, loading.say, loading.show_progress)
            dataset = _read(builder, name, loading)
    except OSError as error:
        raise UserError(explain_os_error(error, folder, "config.data.dir")) from error
    if not dataset.is_streamed:
        try:
            write_cache(path, dataset)
        except OSError as error:
            reason = explain_os_error(error, cache, "config.data.cache_dir")
            loading.say(f"not cached, so the next start decodes again: {reason}")
    return dataset


def _from_cache(path: Path, loading: Loading) -> Dataset | None:
    try:
        if path.stat().st_size > loading.resident_bytes:  # It is hardly larger than its arrays.
            return None
        return read_cache(path)
    except FileNotFoundError:
        return None
    except DamagedCacheError as error:
        loading.say(f"{error}; reading the prepared data again")
        return None
    except OSError as error:
        reason = explain_os_error(error, path, "config.data.cache_dir")
        loading.say(f"{reason}; reading the prepared data again")
        return None


def _read(builder: Builder, name: str, loading: Loading) -> Dataset:
    form = format_of(builder, name, loading.size)
    num_examples = {split: builder.info.splits[split].num_examples for split in ("train", "test")}
    splits: dict[str, StreamedSplit] | dict[str, ArraySplit]
    if sum(num_examples.values()) * math.prod(form.read_shape) > loading.resident_bytes:
        splits = {split: _streamed(builder, split, form) for split in num_examples}
        fingerprints = {"shards by size": shards_digest(Path(builder.data_path))}
    else:
        loading.say(f"decoding {builder.info.full_name}, once")
        try:
            splits = {split: _decoded(builder, split, form, loading) for split in num_examples}
        except (UserError, MemoryError, ImportError):
            raise
        except Exception as error:  # array_record, Pillow and TFDS each raise their own.
            if is_of_the_machine(error):
                raise
            raise damaged(Path(builder.data_path), name, error) from error
        for split_name, split in splits.items():
            if not form.names(split.labels):
                raise UserError(f"{name}: its {split_name} split has no labels; choose another set")
        fingerprints = {split_name: split.fingerprint() for split_name, split in splits.items()}
    version = str(builder.version)
    return Dataset(name, version, form.class_names, splits, form.input_shape, fingerprints)


def _streamed(builder: Builder, split: str, form: ImageFormat) -> StreamedSplit:
    source = TfdsSource(open_records(builder, split), Path(builder.data_path), form)
    return StreamedSplit(source, range(len(source)), form.input_shape)


def _decoded(builder: Builder, split: str, form: ImageFormat, loading: Loading) -> ArraySplit:
    count, examples = builder.info.splits[split].num_examples, _examples(builder, split)
    shown = tqdm(examples, split, count, disable=not loading.show_progress, leave=False)
    return form.decoded(shown, count)


def format_of(builder: Builder, name: str, size: Size) -> ImageFormat:
    """The format of a set whose images are brought to a size, see `Loading`; EMNIST upright."""
    image_shape, class_names = image_shape_and_classes(builder, name)
    if stem(name) != "emnist":
        return ImageFormat(image_shape, size_of(image_shape, size), class_names)
    height, width, channels = size
    variant = builder.builder_config.name
    return ImageFormat(
        image_shape,
        size_of(image_shape, (width, height, channels)),
        tuple(SYMBOLS[variant]),
        FIRST_LABEL.get(variant, 0),
        on_its_side=True,
    )


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
