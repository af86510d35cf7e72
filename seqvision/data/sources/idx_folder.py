"""The user's own data set from the four IDX files of the MNIST family."""

import hashlib
import re
import zlib
from pathlib import Path

import numpy as np

from seqvision.data.dataset import Dataset
from seqvision.data.files.paths import few, shown, visible
from seqvision.data.sources.idx import read_idx
from seqvision.data.sources.loading import Loading
from seqvision.data.sources.npz import load_arrays
from seqvision.data.sources.npz_file import NpzFile
from seqvision.errors import UserError, explain_os_error

# `train-images-idx3-ubyte.gz`, `t10k-labels.idx1-ubyte`, `emnist-letters-test-images-idx3-ubyte`.
_NAME = re.compile(
    r"(.*?)(train|t10k|test)[-_.](images|labels)(?:[-_.]idx[13])?(?:[-_.]ubyte)?(\.gz)?"
)


def load_idx(path: Path, loading: Loading) -> Dataset:
    """Loads `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and those of `t10k` (or `test`).

    Each may be gzipped; the test split may be missing. EMNIST's own files, named `emnist-...`, hold
    their images on their side, which are turned upright.

    Raises:
      UserError: no such folder, missing or damaged files: one line.
    """
    files = _files(path)
    arrays: dict[str, np.ndarray] = {}
    for key, file in files.items():
        try:
            array = read_idx(file)
        except ValueError as error:
            raise UserError(f"{shown(str(error))}; copy it or download it again") from error
        except OSError as error:
            raise UserError(explain_os_error(error, file, "config.data.path")) from error
        if key.endswith("images") and file.name.startswith("emnist-"):
            array = array.swapaxes(1, 2)
        arrays[key] = array
    if any(file.name.startswith("emnist-") for file in files.values()):
        loading.say("EMNIST's images lie on their side in these files: turned upright")
    checksums = [(k, a.shape, zlib.crc32(np.ascontiguousarray(a).data)) for k, a in arrays.items()]
    digest = hashlib.sha256(repr(sorted(checksums)).encode()).hexdigest()
    return load_arrays(NpzFile(path, list(arrays), arrays, checksums=digest), loading)


def _files(path: Path) -> dict[str, Path]:
    """The files by `train_images`, `train_labels`, `test_images`, `test_labels`."""
    try:
        entries = [entry for entry in visible(path) if entry.is_file()]
    except FileNotFoundError as error:
        raise UserError(f"{shown(path)}: no such folder; check config.data.path") from error
    except OSError as error:
        raise UserError(explain_os_error(error, path, "config.data.path")) from error
    found: dict[str, Path] = {}
    sets: set[str] = set()
    for file in entries:
        match = _NAME.fullmatch(file.name)
        if match is None:
            continue
        sets.add(match[1])
        key = f"{'train' if match[2] == 'train' else 'test'}_{match[3]}"
        # torchvision leaves both the gzipped and the plain file: they are the same.
        if key not in found or not match[4]:
            found[key] = file
    if len(sets) > 1:
        raise UserError(
            f"{shown(path)}: the files of several sets ({few([shown(s) + '...' for s in sets])});"
            " put those of one into a folder of their own"
        )
    wanted = ["train_images", "train_labels"]
    if any(key.startswith("test") for key in found):
        wanted += ["test_images", "test_labels"]
    for key in wanted:
        if key not in found:
            name = key.replace("_", "-").replace("test", "t10k")
            axes = 3 if key.endswith("images") else 1
            there = few([shown(file.name) for file in entries], 4) or "nothing"
            raise UserError(
                f"{shown(path)}: no {name}-idx{axes}-ubyte in it (or the same with .gz); it has"
                f" {there}"
            )
    return found
