"""Prepared TFDS sets: found, prepared where that is possible, and opened by their builders."""

import contextlib
import errno
import importlib.util
import io
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from seqvision.config.user_path import expanded
from seqvision.errors import UserError, did_you_mean, first_line

# tensorflow_datasets is imported where it is used: it takes the better part of a second, and a
# cached set does not need it.
Builder: TypeAlias = Any


def data_folder(data_dir: str) -> Path:
    """TFDS's data directory: `data_dir`, else `$TFDS_DATA_DIR`, else `~/tensorflow_datasets`."""
    named = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return expanded(named, "config.data.dir")


def only_prepared(folder: Path, name: str) -> Path | None:
    """The prepared folder of `name`, found without TFDS where there is no choice of versions."""
    path, _, version = name.partition(":")
    versions = [
        entry
        for entry in (folder / path).glob(version or "*")
        if re.fullmatch(r"\d+\.\d+\.\d+", entry.name) and (entry / "dataset_info.json").exists()
    ]
    return versions[0] if len(versions) == 1 else None


def prepared_builder(
    name: str, folder: Path, say: Callable[[str], None], show_progress: bool
) -> Builder:
    """TFDS's builder of a set, which is prepared first if it is not.

    Raises:
      UserError: an unknown set, or one that cannot be prepared.
    """
    builder = _builder(name, folder)
    if builder.is_prepared():
        return builder
    from seqvision.data.sources import mnist_family

    unversioned = name.partition(":")[0]
    if stem(name) in mnist_family.FAMILY:
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
    # TFDS prints a banner where a set needs TensorFlow; the error below is one line.
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        import tensorflow_datasets as tfds

        try:
            return tfds.builder(name, data_dir=folder)
        except tfds.core.registered.DatasetNotFoundError:
            known = tfds.list_builders(with_community_datasets=False)
            hint = did_you_mean(stem(name), known)
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
            if isinstance(error, MemoryError) or is_of_the_machine(error):
                raise
            prepared = only_prepared(folder, name)
            if prepared is not None:
                raise (damaged if _has_torn_records(prepared) else _not_opened)(
                    prepared, name, error
                ) from error
            set_name, variant = stem(name), name.partition(":")[0].partition("/")[2]
            variants = list(tfds.builder_cls(set_name).builder_configs)
            if variant and variant not in variants:
                hint = did_you_mean(variant, variants, f"{set_name}/")
                raise UserError(
                    f"config.data.name: {set_name} has no '{variant}'; it has"
                    f" {', '.join(variants) or 'no variants'}{hint}"
                ) from None
            raise UserError(f"config.data.name: '{name}': {first_line(error)}") from error


def image_shape_and_classes(
    builder: Builder, name: str
) -> tuple[tuple[int, int, int], tuple[str, ...]]:
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


def open_records(builder: Builder, split: str) -> Any:
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


def is_of_the_machine(error: Exception) -> bool:
    """Whether the system refused: no permission, too many files, ... That proves no damage."""
    # Pillow's errors have no number; a file that is gone is damage.
    return isinstance(error, OSError) and error.errno not in (None, errno.ENOENT)


def _has_torn_records(prepared: Path) -> bool:
    """Whether what describes a prepared set is no JSON, or no object, or missing."""
    try:
        files = [prepared / name for name in ("dataset_info.json", "features.json")]
        return not all(isinstance(json.loads(file.read_text()), dict) for file in files)
    except (FileNotFoundError, ValueError):
        return True


def _not_opened(prepared: Path, name: str, error: Exception) -> UserError:
    return UserError(
        f"{prepared}: TFDS cannot open it as {name} ({first_line(error)}); nothing was changed;"
        " check config.data.name and the folder, or name another with --config.data.dir"
    )


def damaged(prepared: Path, name: str, error: Exception) -> UserError:
    from seqvision.data.sources import mnist_family

    found = f"{prepared}: damaged ({first_line(error)})"
    if (prepared / mnist_family.MARKER).exists():
        aside = mnist_family.move_aside(prepared)
        return UserError(
            f"{found}; moved to {aside.name}: run the command again to prepare it afresh"
        )
    if stem(name) in mnist_family.FAMILY:
        return UserError(f"{found}; move this folder away, then run the command again")
    return UserError(f"{found}; move this folder away and prepare {name} again")


def stem(name: str) -> str:
    """`emnist` of `emnist/letters:3.1.0`."""
    return re.split("[/:]", name)[0]
