"""Series whose class is the order of their frames: digits that count up, or down.

    python -m benchmarks.checks.ordered_digits --clips=ordered          # class folders of PNGs
    python -m benchmarks.checks.ordered_digits --volumes=ordered.npz    # MedMNIST's keys

Each series shows six MNIST digits that follow each other, upwards or downwards; both classes hold
the same digits, so that the frames without their order say nothing. Training, validation and test
series are made of different digits of the training and of the test images.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from seqvision.data.sources.loading import Loading
from seqvision.data.sources.tfds import load_tfds

LENGTH = 6
SIZES = {"train": 400, "val": 100, "test": 200}
CLASSES = ("down", "up")


def series(images: np.ndarray, labels: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, ...]:
    """Series (count, LENGTH, 28, 28) uint8 and their classes; both as often."""
    rng = np.random.default_rng(seed)
    of_digit = [np.flatnonzero(labels == digit) for digit in range(10)]
    classes = rng.permutation(np.arange(count) % 2)
    made = np.zeros((count, LENGTH, 28, 28), np.uint8)
    for number, is_up in enumerate(classes):
        digits = rng.integers(0, 11 - LENGTH) + np.arange(LENGTH)
        for frame, digit in enumerate(digits if is_up else digits[::-1]):
            made[number, frame] = images[rng.choice(of_digit[digit]), :, :, 0]
    return made, classes


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes series of digits in order.")
    parser.add_argument("--clips", help="a new folder: SPLIT/CLASS/NUMBER/FRAME.png")
    parser.add_argument("--volumes", help="an .npz file")
    chosen = parser.parse_args()
    mnist = load_tfds("mnist", "", Loading())
    train, test = (mnist.splits[name] for name in ("train", "test"))
    every = np.arange(len(train), dtype=np.int32)
    arrays: dict[str, Any] = {}
    for seed, (split, count) in enumerate(SIZES.items()):
        source = test if split == "test" else train
        # Validation series are made of the last training images.
        numbers = np.arange(len(test)) if split == "test" else every[:50_000]
        numbers = every[50_000:] if split == "val" else numbers
        batch = source.read(np.asarray(numbers, np.int32))
        made, classes = series(batch["inputs"], batch["labels"], count, seed)
        arrays |= {f"{split}_images": made, f"{split}_labels": classes[:, None]}
        if chosen.clips:
            _write_clips(Path(chosen.clips) / split, made, classes)
    if chosen.volumes:
        np.savez(chosen.volumes, **arrays)


def _write_clips(folder: Path, made: np.ndarray, classes: np.ndarray) -> None:
    for number, (clip, label) in enumerate(zip(made, classes, strict=True)):
        place = folder / CLASSES[label] / f"{number:04}"
        place.mkdir(parents=True)
        for frame, image in enumerate(clip):
            Image.fromarray(image).save(place / f"{frame}.png")


if __name__ == "__main__":
    main()
