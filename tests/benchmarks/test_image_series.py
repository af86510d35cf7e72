"""`benchmarks.checks.image_series`: real files are within half a grey level of other libraries."""

import functools
import warnings
from pathlib import Path

import numpy as np
import pytest

from benchmarks.checks import image_series
from benchmarks.checks.image_series_files import Case

for name in ("pydicom", "nibabel", "tifffile"):
    pytest.importorskip(name)


def test_pictures_of_real_files_are_those_of_other_libraries(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's own, of its odd files.
        rows = list(image_series.rows(tmp_path))
    assert len(rows) > 30 and {row.library for row in rows} >= {"pydicom", "nibabel", "tifffile"}
    assert max(max(row.in_training, row.in_predict) for row in rows) <= 0.5
    lines = image_series.body({"rows": [list(row) for row in rows], "failed": 0})
    assert len(lines) == len(rows) + 4 and "0 of" in lines[-1]


def test_a_picture_that_differs_is_seen(tmp_path: Path) -> None:
    frames = np.arange(30.0).reshape(1, 5, 6)
    np.save(tmp_path / "x.npy", frames[0])
    for shift, wrong in ((0.0, False), (1.0, True)):
        pictures = functools.partial(_ramp, frames, shift)
        case = Case(tmp_path / "x.npy", "numpy", False, ((0.0, 29.0),), pictures)
        row = image_series.compared(case, tmp_path / str(shift))
        assert (row.in_training > 0.5) == (row.in_predict > 0.5) == wrong


def _ramp(frames: np.ndarray, shift: float, _ranges: object) -> np.ndarray:
    return (frames / 29 * 255 + shift)[..., None]
