"""Small sets of the user's own images and clips, written in every form that is read."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from seqvision.data.dataset import ArraySplit, Dataset
from seqvision.data.sources.folders import load_folders
from seqvision.data.sources.loading import Loading
from seqvision.data.sources.npz import load_npz
from seqvision.errors import UserError

CLASSES = ("été", "右")
HEIGHT, WIDTH = 12, 20
Clip = np.ndarray


def folders(path: Path, **options: Any) -> Dataset:
    return load_folders(path, Loading(**({"say": lambda line: None} | options)))


def npz(path: Path, **options: Any) -> Dataset:
    return load_npz(path, Loading(**options))


def arrays(dataset: Dataset, split: str = "train") -> ArraySplit:
    found = dataset.split(split)
    assert isinstance(found, ArraySplit)
    return found


def save_png(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(path)
    return path


def save_frames(path: Path, clip: Clip) -> Path:
    for number, frame in enumerate(clip):
        save_png(path / f"frame{number + 1}.png", frame)  # frame10 comes after frame2.
    return path


def save_video(path: Path, clip: Clip, codec: str = "ffv1", pixels: str = "bgr0") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width, stream.pix_fmt = *clip.shape[1:3], pixels
        for frame in clip:
            packets = stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24"))
            container.mux(packets)
        container.mux(stream.encode())
    return path


def save_animation(path: Path, clip: Clip) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = [Image.fromarray(f[..., 0] if f.shape[-1] == 1 else f) for f in clip]
    lossless = {"lossless": True} if path.suffix == ".webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], **lossless)
    return path


def clips_of(rng: np.random.Generator, count: int = 12, channels: int = 3) -> list[Clip]:
    """Clips of different lengths; one is longer than nine frames."""
    lengths = [11, 1, *rng.integers(2, 7, count - 2)]
    return [rng.integers(0, 256, (n, HEIGHT, WIDTH, channels), np.uint8) for n in lengths]


def clip_set(rng: np.random.Generator) -> tuple[list[Clip], list[int]]:
    """Clips and their labels."""
    clips = clips_of(rng)
    return clips, [number * 2 // len(clips) for number in range(len(clips))]


def save_npz(path: Path, clips: list[Clip], labels: list[int], **more: Any) -> Path:
    images = np.zeros((len(clips), max(map(len, clips)), *clips[0].shape[1:]), np.uint8)
    images[:] = 99  # What lies after a clip's length does not count.
    for array, clip in zip(images, clips, strict=True):
        array[: len(clip)] = clip
    np.savez(path, images=images, labels=labels, lengths=[len(c) for c in clips], **more)
    return path


def some_images(path: Path, classes: tuple[str, ...] = CLASSES, count: int = 3) -> Path:
    rng = np.random.default_rng(2)
    for name in classes:
        for number in range(count):
            save_png(path / name / f"{number}.png", rng.integers(0, 256, (6, 5, 3), np.uint8))
    return path


def grey_source(train: np.ndarray, test: np.ndarray, symbols: Iterable[str] = "012") -> Dataset:
    """Still images of three classes, (3, height, width, 1), to make clips or lines of."""
    labels = np.arange(3, dtype=np.int32)
    splits = {"train": ArraySplit(train, labels), "test": ArraySplit(test, labels)}
    fingerprints = {"train": "", "test": ""}
    return Dataset("digits", "1", tuple(symbols), splits, train.shape[1:], fingerprints)


def as_multiset(images: np.ndarray, labels: np.ndarray) -> list[bytes]:
    return sorted(
        image.tobytes() + bytes([label]) for image, label in zip(images, labels, strict=True)
    )


def assert_equal(left: Dataset, right: Dataset) -> None:
    assert left.class_names == right.class_names
    assert left.input_shape == right.input_shape
    assert list(left.splits) == list(right.splits)
    for split in left.splits:
        for name, array in arrays(left, split).arrays.items():
            np.testing.assert_array_equal(array, arrays(right, split).arrays[name])
    assert left.fingerprints == right.fingerprints


def says(call: Callable[[], Any], *parts: str) -> str:
    with pytest.raises(UserError) as error:
        call()
    text = str(error.value)
    assert "\n" not in text and text.isprintable()
    for part in parts:
        assert part in text, text
    return text
