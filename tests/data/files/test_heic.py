"""HEIC pictures: read where the extra is installed, else named with it."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seqvision.data.files.images import read_image
from seqvision.errors import UserError
from seqvision.inference.inputs import read_inputs
from tests.data.making import arrays, folders, says

# The box with which they begin (ISO 14496-12, 4.3): size, type, brand, version.
START = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)


@pytest.mark.parametrize("name", ["a.heic", "a.HEIC", "a.heif", "a.jpg"])
def test_without_the_extra_it_is_named(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        (tmp_path / label / name).write_bytes(START)
    # Nor is it kept as a broken file for the time after the extra is there.
    for broken_files in ("fail", "skip"):
        options = {"cache_dir": tmp_path / "cache", "broken_files": broken_files}
        says(lambda: folders(tmp_path, **options), name, "pip install 'seqvision[heic]'")  # noqa: B023
    assert not list(tmp_path.glob("cache/*"))
    shape = (8, 8, 1)
    file = tmp_path / "cat" / name
    with pytest.raises(UserError, match=r"pip install 'seqvision\[heic\]'"):
        list(read_inputs([file], shape, False, lambda path: read_image(path, shape, "mixed")))


def test_training_and_prediction_read_it_alike(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    for label, grey in (("cat", 40), ("dog", 200)):
        (tmp_path / label).mkdir()
        image = Image.new("RGB", (64, 48), (grey, grey, grey))
        for name in ("a.heic", "named.jpg"):
            image.save(tmp_path / label / name, format="HEIF", quality=95)
    found = folders(tmp_path)
    shape, pixels = found.input_shape, arrays(found).inputs
    assert len(pixels) == 4 and shape[:2] == (48, 64)
    for number, grey in enumerate((40, 40, 200, 200)):
        np.testing.assert_allclose(pixels[number].astype(int), grey, atol=3)
    for name in ("a.heic", "named.jpg"):
        image_of_run = read_image(tmp_path / "dog" / name, shape, "mixed")
        np.testing.assert_array_equal(image_of_run, pixels[2])
