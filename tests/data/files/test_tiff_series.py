"""TIFFs that tifffile reads and Pillow does not; written by tifffile, compared with its arrays."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqvision.data.files.clips import kind_of, read_frames
from seqvision.data.files.opening import UnreadableImageError
from seqvision.data.files.tones import Tones
from seqvision.data.files.volumes import is_volume

tifffile = pytest.importorskip("tifffile")


@pytest.mark.parametrize(
    ("dtype", "how", "ours"),
    [
        ("uint16", {"metadata": {"axes": "TYX"}, "ome": True}, False),
        ("uint16", {"metadata": {"axes": "ZYX"}, "imagej": True}, False),
        ("float32", {"metadata": {"axes": "ZYX"}, "imagej": True, "truncate": True}, True),
        ("uint16", {"truncate": True}, True),
        ("int16", {"bigtiff": True}, False),
        ("int64", {}, True),
        ("uint64", {"byteorder": ">"}, True),
    ],
)
def test_stacks_are_read_as_tifffile_reads_them(
    tmp_path: Path, dtype: str, how: dict[str, Any], ours: bool, rng: np.random.Generator
) -> None:
    values = rng.integers(0, 30000, (4, 6, 5)).astype(dtype)
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, values, photometric="minisblack", **how)
    assert is_volume(path) == ours and kind_of(path) == "clip"
    expected = np.clip(tifffile.imread(path).astype(np.float64) * 255 / 20000, 0, 255)
    found = read_frames(path, tones=Tones((0, 20000)))
    np.testing.assert_allclose(found[..., 0], expected, atol=0.5)


def test_planes_of_colours(tmp_path: Path, rng: np.random.Generator) -> None:
    values = rng.integers(0, 65536, (3, 6, 5), np.uint16)
    tifffile.imwrite(tmp_path / "x.tif", values, photometric="rgb", planarconfig="separate")
    assert kind_of(tmp_path / "x.tif") == "image"
    expected = np.moveaxis(tifffile.imread(tmp_path / "x.tif"), 0, -1) / 257
    found = read_frames(tmp_path / "x.tif", tones=Tones((0, 65535)))[0]
    np.testing.assert_allclose(found, expected, atol=0.5)
    tifffile.imwrite(tmp_path / "y.tif", rng.random((6, 5, 3), np.float32), photometric="rgb")
    with pytest.raises(UnreadableImageError, match="colours as float32"):
        read_frames(tmp_path / "y.tif")


def test_a_stack_that_is_cut_short_keeps_its_name(tmp_path: Path) -> None:
    values = np.ones((4, 60, 50), np.uint16)
    tifffile.imwrite(tmp_path / "x.tif", values, photometric="minisblack", truncate=True)
    content = (tmp_path / "x.tif").read_bytes()
    (tmp_path / "x.tif").write_bytes(content[:-9000])
    assert not is_volume(tmp_path / "x.tif")
    with pytest.raises(UnreadableImageError, match="cannot be read; save it with a page for each"):
        read_frames(tmp_path / "x.tif")
