"""What Pillow, numpy, PyAV and a few lines by hand read of a file, to compare with."""

import gzip
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from benchmarks.checks.foreign_cases import SIDE

_VIDEOS = (".mkv", ".avi", ".mp4", ".mov")


def grey_of(pixels: np.ndarray) -> np.ndarray:
    """(height, width) of an image, in colour by ITU-R 601-2 as Pillow computes it."""
    if pixels.ndim == 2:
        return pixels
    weights = np.array([19595, 38470, 7471])
    return ((pixels.astype(np.int64) @ weights + 0x8000) >> 16).astype(np.uint8)


def frames_of(path: Path) -> np.ndarray | None:
    """(T, SIDE, SIDE) that Pillow or PyAV decode; None where they do not, or it is not plain.

    Not plain are pictures of more than 8 bits, and transparent ones.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            files = sorted(path.iterdir()) if path.is_dir() else [path]
            found = np.stack([frame for file in files for frame in _frames(file)])
    except Exception:  # Decoders raise almost anything.
        return None
    return fitted(found)


def picture_of(path: Path) -> np.ndarray | None:
    """(height, width) of a single plain image, in its own size; else None."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            [image] = _frames(path)
    except Exception:
        return None
    return image


def _frames(path: Path) -> list[np.ndarray]:
    if path.suffix in _VIDEOS:
        import av

        with av.open(str(path)) as container:
            return [
                grey_of(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)
            ]
    frames = []
    with Image.open(path) as opened:
        count = getattr(opened, "n_frames", 1) if opened.format != "MPO" else 1
        for number in range(1 if getattr(opened, "default_image", False) else 0, count):
            opened.seek(number)
            image = ImageOps.exif_transpose(opened) if count == 1 else opened.copy()
            if image.mode[0] in "IF" or image.has_transparency_data:
                raise ValueError("not plain")
            grey = image.mode in ("1", "L")
            frames.append(np.asarray(image.convert("L") if grey else image.convert("RGB")))
    return [grey_of(frame) for frame in frames]


def fitted(frames: np.ndarray) -> np.ndarray:
    """Scaled to SIDE x SIDE, proportions kept, filled with the median of the borders of all."""
    height, width = frames.shape[1:]
    if (height, width) == (SIDE, SIDE):
        return frames
    sides = [frames[:, 0], frames[:, -1], frames[:, 1:-1, 0], frames[:, 1:-1, -1]]
    fill = int(np.median(np.concatenate(sides, axis=1)))
    how: Any = Image.Resampling.LANCZOS
    return np.stack(
        [
            np.asarray(
                image.resize((SIDE, SIDE), how)
                if height == width
                else ImageOps.pad(image, (SIDE, SIDE), how, color=fill)
            )
            for image in map(Image.fromarray, frames)
        ]
    )


def arrays_of(path: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """`images`, as bytes, and `labels` as numpy reads a `.npz` file; None where it does not."""
    try:
        with np.load(path) as arrays:
            return _scaled(arrays["images"], of_set=True), arrays["labels"]
    except Exception:
        return None


def images_of(path: Path) -> np.ndarray | None:
    """`images` alone, by the depth of the file; see `arrays_of`."""
    try:
        with np.load(path) as arrays:
            return _scaled(arrays["images"], of_set=False)
    except Exception:
        return None


def _scaled(images: np.ndarray, of_set: bool) -> np.ndarray:
    """Values of more than 8 bits in grey levels, by the rule of docs/data.md."""
    if images.dtype == np.uint8 or images.dtype.kind not in "biuf":
        return images
    values = images.astype(np.float64)
    largest = values[np.isfinite(values)].max(initial=0)
    depths = (1, 255, 1023, 4095, 16383, 65535) if of_set else (1, 255, 4095, 65535)
    white = next((depth for depth in depths if largest <= depth), largest)
    white = largest if of_set and largest <= white / 2 else white
    return np.clip(np.nan_to_num(values) * (255 / white), 0, 255).round()


def idx_arrays(folder: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """The training images and labels of a folder of IDX files; None where one is not whole."""
    found = []
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        file = folder / name
        content = file.read_bytes() if file.exists() else b""
        try:
            if not content:
                content = gzip.decompress((folder / f"{name}.gz").read_bytes())
            shape = struct.unpack_from(f">{content[3]}I", content, 4)
            array = np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)
        except (OSError, EOFError, zlib.error, struct.error, ValueError, IndexError):
            return None
        found.append(array)
    return found[0], found[1]


def table_texts(table: Path) -> list[str]:
    """The texts of a table, row by row."""
    rows = [row for row in table.read_bytes().decode("utf-8-sig").split("\n") if row.strip()]
    return [row.split("\t")[1].strip() for row in rows]
