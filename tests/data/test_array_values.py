"""Arrays of more than 8 bits in `.npz` files: their scale, splits, groups and prediction."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqvision.data.files.images import read_image
from seqvision.data.files.tones import Tones
from seqvision.data.sources import npz_memory_map
from seqvision.inference.inputs import read_inputs
from tests.data.making import arrays, npz, says

LABELS = np.arange(40) % 2


def saved(folder: Path, images: np.ndarray, **more: Any) -> Path:
    np.savez(folder / "x.npz", images=images, labels=LABELS[: len(images)], **more)
    return folder / "x.npz"


def scaled(images: np.ndarray, low: float, high: float) -> np.ndarray:
    """numpy, in float64: linear from `low` to `high`, NaN as `low`."""
    values = np.nan_to_num(images.astype(np.float64), nan=low, posinf=high, neginf=low)
    return np.clip((values - low) / (high - low) * 255, 0, 255).round()


@pytest.mark.parametrize("at_once", [1, 50, 2**22])
@pytest.mark.parametrize(
    ("dtype", "low", "high", "expected"),
    [
        (np.uint16, 0, 3000, (0, 4095)),
        (">u2", 0, 143, (0, 255)),
        (np.int16, -1024, 2000, (-1024, 2000)),
        (np.int32, 0, 70000, (0, 70000)),
        (np.float16, 0, 1, (0, 1)),
        (np.float32, 0, 0.25, (0, 0.25)),
        (np.float64, 0, 16, (0, 16)),
    ],
)
def test_values_are_scaled_as_those_of_files_are(
    tmp_path: Path, dtype: Any, low: float, high: float, expected: tuple[float, float],
    at_once: int, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator,
) -> None:  # fmt: skip
    """One range over the whole set, by the rule of docs/data.md."""
    monkeypatch.setattr(npz_memory_map, "_SCANNED", at_once)
    images = rng.uniform(low, high, (8, 6, 5)).astype(dtype)
    images[0, 0, 0], images[5, 1, 1] = low, high
    found = npz(saved(tmp_path, images))
    assert found.tones.value_range == expected
    np.testing.assert_array_equal(arrays(found).inputs[..., 0], scaled(images, *expected))


def test_nan_and_infinity_do_not_count(tmp_path: Path) -> None:
    images = np.linspace(0, 0.9, 8 * 30).reshape(8, 6, 5)
    images[1, 0], images[2, 0], images[3, 0] = np.nan, np.inf, -np.inf
    found = npz(saved(tmp_path, images))
    np.testing.assert_array_equal(arrays(found).inputs[..., 0], scaled(images, 0, 1))
    images[4] = np.nan
    says(lambda: npz(saved(tmp_path, images)), "images[4]: it has no finite value")
    says(lambda: npz(saved(tmp_path, images * np.nan)), "the training images have no finite value")


@pytest.mark.parametrize("resident_bytes", [0, 2**30])
def test_percentiles_are_of_the_training_split_alone(
    tmp_path: Path, resident_bytes: int, rng: np.random.Generator
) -> None:
    """The test half is a thousand times brighter, and moves nothing."""
    images = rng.uniform(0, 1, (40, 6, 5)).astype(np.float32)
    split: dict[str, Any] = {"test_fraction": 0.5, "resident_bytes": resident_bytes}
    first = npz(saved(tmp_path, images, groups=np.arange(40)), **split)
    numbers = [int(name.split("[")[1][:-1]) for name in first.splits["test"].names]
    images[numbers] *= 1000
    path = saved(tmp_path, images, groups=np.arange(40))
    train = np.delete(images, numbers, axis=0).astype(np.float64)
    found = npz(path, percentiles=(5, 90), **split)
    low, high = np.percentile(train, (5, 90))
    np.testing.assert_allclose(found.tones.value_range or (), (low, high))
    read = found.splits["train"].read(np.arange(len(train), dtype=np.int32))["inputs"]
    np.testing.assert_array_equal(read[..., 0], scaled(train, low, high))
    assert "percentiles 5 and 90 of the training split" in str(found.tones)
    automatic = npz(path, **split)
    assert automatic.tones.value_range == (0, 1)
    assert dict(automatic.fingerprints) != dict(found.fingerprints)


def test_three_windows_are_three_channels(tmp_path: Path, rng: np.random.Generator) -> None:
    images = rng.integers(-1024, 2000, (8, 6, 5), np.int16)
    ranges = ((0.0, 80.0), (-20.0, 180.0), (-500.0, 1300.0))
    found = npz(saved(tmp_path, images), tones=Tones(ranges[0], "", ranges[1:]))
    assert found.input_shape == (6, 5, 3)
    for channel, window in enumerate(ranges):
        read = arrays(found).inputs[..., channel]
        np.testing.assert_array_equal(read, scaled(images, *window))
    colours = np.stack([images] * 3, axis=-1)
    says(
        lambda: npz(saved(tmp_path, colours), tones=Tones(ranges[0], "", ranges[1:])),
        "images[0]: it has colours, and the three ranges",
    )


def test_a_range_for_bytes_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, np.zeros((4, 6, 5), np.uint8))
    says(lambda: npz(path, tones=Tones((0, 1))), "'0,1' has no effect on images, which is uint8")
    says(lambda: npz(path, percentiles=(1, 99)), "'1,99' has no effect on images")


def test_prediction_reads_arrays_by_the_scale_of_the_run(tmp_path: Path) -> None:
    images = np.linspace(0, 100, 4 * 30).reshape(4, 6, 5).astype(np.float32)
    images[3] = np.nan
    path = saved(tmp_path, images)
    for tones, low, high in ((Tones((-50, 200)), -50, 200), (Tones(), 0, 255)):
        *rows, broken = read_inputs(
            [path], (6, 5, 1), False, lambda file: read_image(file, (6, 5, 1), "mixed"),
            tones=tones,
        )  # fmt: skip
        for row, image in zip(rows, images, strict=False):
            assert row.array is not None
            np.testing.assert_array_equal(row.array[..., 0], scaled(image, low, high))
        assert broken.error == "it has no finite value: all are NaN or infinite"
        assert broken.name.endswith("x.npz[3]")


def test_groups_of_arrays_stay_together(tmp_path: Path, rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (40, 6, 5), np.uint8)
    groups = rng.integers(0, 12, 40)
    for kind in (groups, groups.astype(str), groups.astype(bytes)):
        path = saved(tmp_path, images, groups=kind)
        found = npz(path, test_fraction=0.3, validation_fraction=0.2)
        sides = [
            {int(groups[int(name.split("[")[1][:-1])]) for name in split.names}
            for split in found.splits.values()
        ]
        assert len(sides) == 3 and sum(map(len, sides)) == len(set(groups.tolist()))
    says(
        lambda: npz(saved(tmp_path, images, groups=groups[:7])),
        "groups is int64 (7,)",
        "each of 40",
    )
