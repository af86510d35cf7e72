"""Names that others give to the arrays of a `.npz` file: Keras, scikit-learn, plain `np.savez`."""

import re
from collections.abc import Callable

from seqvision.errors import UserError

_IMAGES = ("x", "data", "images", "image", "imgs")
_LABELS = ("y", "target", "targets", "labels", "label")
_LENGTHS = ("length", "lengths")
_SPLITS = {
    "train": "train_",
    "val": "val_",
    "valid": "val_",
    "validation": "val_",
    "dev": "val_",
    "test": "test_",
}


def own_names(keys: list[str], axes_of: Callable[[str], int]) -> dict[str, str]:
    """The file's names of `images`, `labels`, `train_images`, ... where it has other names.

    `x_train`, `y_train` (and test), `X`, `y`, `data`, `target`, `train_x`; or `arr_0` and so on:
    those of three or more axes are images, the others labels, first of train, then of test.

    Args:
      keys: the names in the file.
      axes_of: the number of axes of one of its arrays.

    Returns:
      From our names to the file's, as far as they differ.

    Raises:
      UserError: two arrays that may be the same.
    """
    if {"images", "labels"} <= set(keys):
        return {}
    unnamed = sorted((k for k in keys if re.fullmatch(r"arr_\d", k)), key=lambda k: int(k[4:]))
    if unnamed and len(unnamed) == len(keys):
        return _of_unnamed(unnamed, axes_of)
    found: dict[str, str] = {}
    for key in keys:
        name = _our_name(key)
        if name is None or name == key or name in keys:
            continue
        if "train_images" in keys and "_" not in name:
            continue
        if name in found:
            raise UserError(f"both '{found[name]}' and '{key}' may be its {name}; keep one of them")
        found[name] = key
    # An `image` beside `labels` may be a slip of the pen: it is asked about.
    return {name: key for name, key in found.items() if key not in ("image", "label")}


def _our_name(key: str) -> str | None:
    words = key.lower().split("_")
    prefix = ""
    if len(words) == 2:
        split = next((word for word in words if word in _SPLITS), None)
        if split is None:
            return None
        prefix = _SPLITS[split]
        words.remove(split)
    if len(words) != 1:
        return None
    if words[0] in _IMAGES:
        return f"{prefix}images"
    if words[0] in _LENGTHS:
        return f"{prefix}lengths"
    return f"{prefix}labels" if words[0] in _LABELS else None


def _of_unnamed(keys: list[str], axes_of: Callable[[str], int]) -> dict[str, str]:
    images = [key for key in keys if axes_of(key) >= 3]
    labels = [key for key in keys if axes_of(key) < 3]
    if len(images) > 2 or len(labels) > len(images) or (labels and len(labels) < len(images)):
        return {}
    prefixes = ("",) if len(images) == 1 else ("train_", "test_")
    names = dict(zip((f"{prefix}images" for prefix in prefixes), images, strict=False))
    return names | dict(zip((f"{prefix}labels" for prefix in prefixes), labels, strict=False))
