"""`config.data.value_range` by percentiles of the training split."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from seqvision.config.data_schema import Data
from seqvision.config.rules import check_together
from seqvision.config.schema import Settings
from seqvision.config.value_ranges import parse_percentiles, parse_range, parse_ranges
from seqvision.data.files.tones import Tones
from seqvision.data.sources import set_tones
from seqvision.data.sources.set_tones import tones_of
from seqvision.errors import UserError
from tests.data.files.deep_files import png16
from tests.data.making import arrays, folders


def percentile_set(folder: Path, *pictures: np.ndarray, **options: Any) -> Any:
    for number, picture in enumerate(pictures):
        png16(folder / "ab"[number % 2] / f"{number}.png", picture[..., None])
    return folders(folder, **options)


def test_percentiles_of_the_training_split(tmp_path: Path) -> None:
    """0 to 100 but for two outliers: numpy's percentiles of all values."""
    ramp = np.arange(101, dtype=np.uint16).reshape(1, 101) * 10
    other = ramp.copy()
    other[0, 0], other[0, -1] = 60000, 50000
    both = np.concatenate([ramp, other])
    said: list[str] = []
    found = percentile_set(
        tmp_path / "set", ramp, other, percentiles=(5, 95), cache_dir=tmp_path, say=said.append
    )
    low, high = np.percentile(both, (5, 95))
    assert found.tones.value_range == (low, high)
    expected = np.clip((both - low) * 255 / (high - low), 0, 255).round()
    np.testing.assert_array_equal(arrays(found).inputs[:, 0, :, 0], expected)
    again = folders(tmp_path / "set", percentiles=(5, 95), cache_dir=tmp_path)
    assert again.tones == found.tones
    assert folders(tmp_path / "set", cache_dir=tmp_path).tones.value_range == (0, 65535)


def test_percentiles_of_some_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every second deep file, since two were to be looked at."""
    monkeypatch.setattr(set_tones, "SAMPLED_FILES", 2)
    files = []
    for number in range(4):
        values = np.arange(11, dtype=np.uint16).reshape(1, 11) * 100 * (number + 1)
        shallow = number == 0
        files.append(tmp_path / f"{number}.png")
        if shallow:
            Image.fromarray(values.astype(np.uint8)).save(files[-1])
        else:
            png16(files[-1], values[..., None])
    for _ in range(2):
        found = tones_of(files, Tones(), None, lambda line: None, (10, 90))
        expected = np.percentile([np.arange(11) * 200, np.arange(11) * 400], (10, 90))
        assert found.value_range == tuple(expected)


def test_percentiles_of_every_deep_file_among_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(set_tones, "SAMPLED_FILES", 4)
    files, pictures = [], []
    for number in range(8):
        files.append(tmp_path / f"{number}.png")
        if number % 2:
            Image.fromarray(np.zeros((1, 11), np.uint8)).save(files[-1])
        else:
            pictures.append(np.arange(11, dtype=np.uint16).reshape(1, 11) * 100 * (number + 1))
            png16(files[-1], pictures[-1][..., None])
    found = tones_of(files, Tones(), None, lambda line: None, (10, 90))
    assert found.value_range == tuple(np.percentile(pictures, (10, 90)))


def test_percentiles_that_are_one_value(tmp_path: Path) -> None:
    picture = np.zeros((10, 10), np.uint16)
    picture[0, 0] = 900
    with pytest.raises(UserError, match=r"percentiles 1 and 50 .* both 0"):
        percentile_set(tmp_path, picture, picture, percentiles=(1, 50))


@pytest.mark.parametrize(
    ("text", "percentiles"),
    [("percentiles:1,99", (1, 99)), ("percentiles:0.5,100", (0.5, 100)), ("0,4095", None),
     ("auto", None)],
)  # fmt: skip
def test_percentiles_in_the_config(text: str, percentiles: tuple[float, float] | None) -> None:
    assert parse_percentiles(text) == percentiles
    assert parse_range(text) == ((0, 4095) if text == "0,4095" else None)


@pytest.mark.parametrize("numbers", ["", "9", "9,1", "-1,9", "1,101", "a,b"])
def test_percentiles_that_are_none_are_one_line(numbers: str) -> None:
    data = Data(source="folders", path="x", value_range=f"percentiles:{numbers}")
    with pytest.raises(UserError, match="two percentiles, such as percentiles:1,99"):
        check_together(Settings(data=data))


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        ("ct:brain", [(0, 80)]),
        ("ct:brain+subdural+bone", [(0, 80), (-20, 180), (-500, 1300)]),
        ("ct:lung+0,100+ct:liver", [(-1350, 150), (0, 100), (-45, 105)]),
        ("-1e+3,1e+3+0,1+2,3.5", [(-1000, 1000), (0, 1), (2, 3.5)]),
    ],
)
def test_windows_in_the_config(text: str, ranges: list[tuple[float, float]]) -> None:
    """Centre minus and plus half of the width; a plus of an exponent parts nothing."""
    assert list(parse_ranges(text)) == ranges
    check_together(Settings(data=Data(source="folders", path="x", value_range=text)))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"value_range": "ct:brian"}, "'brian' is no window; known are brain, .*; did you mean"),
        ({"value_range": "brain"}, "'brain' is no range; write auto;"),
        ({"value_range": "ct:brain+bone"}, "2 ranges, where a network reads one channel or three"),
        ({"value_range": "ct:brain+bone+80,0"}, "is no range; write auto"),
        ({"value_range": "ct:brain+bone+soft", "channels": 1}, "config.data.channels: 1, and"),
        ({"value_range": "0,9", "source": "idx"}, "has no effect with config.data.source=idx"),
        ({"group_pattern": "p", "source": "npz"}, "config.data.group_pattern: 'p' has no effect"),
        ({"group_pattern": "("}, "config.data.group_pattern: .* is no regular expression"),
    ],
)
def test_ranges_and_groups_that_are_none_are_one_line(fields: dict[str, Any], words: str) -> None:
    data = Data(**{"source": "folders", "path": "x"} | fields)
    with pytest.raises(UserError, match=words):
        check_together(Settings(data=data))


@pytest.mark.parametrize("by_groups", [False, True])
def test_the_test_split_moves_no_range(
    tmp_path: Path, by_groups: bool, rng: np.random.Generator
) -> None:
    """One bright picture of ten: wherever it is held out, the range is that of the others."""
    seen = set()
    for attempt in range(8):
        folder, files = tmp_path / str(attempt), {}
        for number in range(10):
            pixels = rng.integers(0, 40000 if number == 0 else 900, (6, 5), np.uint16)
            files[f"p{number}-{attempt}"] = pixels
            png16(folder / "ab"[number % 2] / f"p{number}-{attempt}.png", pixels[..., None])
        options: dict[str, Any] = {"test_fraction": 0.5, "cache_dir": tmp_path / "cache"}
        options["group_pattern"] = r"p.*-\d+" if by_groups else ""
        try:
            found = folders(folder, percentiles=(10, 80), **options)
        except UserError:  # A split is empty, or without one of the classes.
            continue
        names = [Path(name).stem for name in found.splits["train"].names]
        values = np.concatenate([files[name].ravel() for name in names])
        assert found.tones.value_range == tuple(np.percentile(values, (10, 80)))
        for _ in range(2):  # The second time from the cache.
            automatic = folders(folder, **options).tones.value_range
            is_bright = f"p0-{attempt}" in names
            assert automatic == (0, 65535 if is_bright else 1023)
        seen.add(is_bright)
    assert seen == {False, True}


def test_a_range_without_effect_is_refused(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        Image.fromarray(np.eye(6, dtype=np.uint8) * 200).save(tmp_path / name / "x.png")
    for options in ({"tones": Tones((0, 80))}, {"percentiles": (1, 99)}):
        with pytest.raises(UserError, match="no training file has more than 8 bits a value"):
            folders(tmp_path, **options)
