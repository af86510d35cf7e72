"""Feature files: the features of one clip, (L, D), as `.npy` or `.npz`."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from seqvision.data.files.opening import UnreadableImageError
from seqvision.data.files.paths import few, shown
from seqvision.runtime.regular_file import open_regular

SUFFIXES = (".npy", ".npz")
KEY = "features"
CARRIED = ("targets", "labels", "class_names")
"""Arrays of a `.npz` file that say what is to be predicted of its clip."""

Features = Float32[np.ndarray, "L D"]


class FeatureFile(NamedTuple):
    """What a file of one clip holds.

    Attributes:
      features: (L, D).
      carried: those of CARRIED that are beside them.
    """

    features: Features
    carried: dict[str, np.ndarray]


def read_features(path: Path, num_features: int = 0) -> Features:
    """The features of one clip.

    Args:
      path: a `.npy` file, or a `.npz` file with one array, or with one called `features`.
      num_features: D, which others have; 0 for any.

    Raises:
      UnreadableImageError: it cannot be read, is no (L, D) of finite numbers, or has another D.
    """
    return read_feature_file(path, num_features).features


def read_feature_file(path: Path, num_features: int = 0) -> FeatureFile:
    """The features of one clip, and what is to be predicted of it; see `read_features`."""
    try:
        with open_regular(path) as file:
            loaded = np.load(file, allow_pickle=False)
            carried: dict[str, np.ndarray] = {}
            if isinstance(loaded, np.ndarray):
                array = loaded
            else:
                array, carried = _of_archive(loaded)
    except UnreadableImageError:
        raise
    except OSError as error:
        raise UnreadableImageError(error.strerror or str(error)) from error
    except Exception as error:  # numpy and zipfile raise many kinds for what they cannot read.
        raise UnreadableImageError("no array of numpy, or a damaged one") from error
    return FeatureFile(checked_features(array, num_features), carried)


def checked_features(array: np.ndarray, num_features: int = 0) -> Features:
    """The features of one clip as float32; see `read_features`."""
    if array.dtype.kind not in "fiu":
        raise UnreadableImageError(f"an array of {array.dtype}; features are numbers")
    if array.ndim != 2 or 0 in array.shape:
        raise UnreadableImageError(
            f"an array of shape {array.shape}; (frames, features) is needed, such as (20, 1280)"
        )
    if num_features and array.shape[1] != num_features:
        raise UnreadableImageError(
            f"{array.shape[1]} features of each frame, and others have {num_features}; compute all"
            " with the same network"
        )
    with np.errstate(over="ignore"):
        features = np.ascontiguousarray(array, np.float32)
    wrong = ~np.isfinite(features)
    if wrong.any():
        frame = int(np.argwhere(wrong)[0][0])
        raise UnreadableImageError(
            f"{int(wrong.sum())} of its numbers are NaN or infinite, the first in frame {frame}"
        )
    return features


def _of_archive(
    archive: np.lib.npyio.NpzFile,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    with archive:
        names = archive.files
        if KEY not in names and len(names) != 1:
            raise UnreadableImageError(
                f"{len(names)} arrays ({few(list(map(shown, names)))}); one called {KEY} is needed"
            )
        if KEY not in names:
            return archive[names[0]], {}
        return archive[KEY], {name: archive[name] for name in CARRIED if name in names}
