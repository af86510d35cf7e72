"""Stacks as ImageJ, OME and tifffile write them, made here byte by byte from their descriptions."""

import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from seqvision.data.files.clips import is_animated, kind_of, read_frames
from seqvision.data.files.images import read_image
from seqvision.data.files.opening import UnreadableImageError
from seqvision.inference.inputs import read_inputs

SHAPE = (6, 5)


def save(path: Path, pages: int, description: str) -> Path:
    """A TIFF of grey pages 10, 20, ... with a description on the first."""
    images = [Image.fromarray(np.full(SHAPE, 10 * (n + 1) % 256, np.uint8)) for n in range(pages)]
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[270] = description
    images[0].save(path, save_all=True, append_images=images[1:], tiffinfo=info)
    return path


def ome(**sizes: int) -> str:
    axes = " ".join(f'{name}="{size}"' for name, size in sizes.items())
    return (
        f'<?xml version="1.0"?><OME xmlns="x"><Image ID="1"><Pixels ID="1" {axes}/></Image></OME>'
    )


@pytest.mark.parametrize(
    ("pages", "description", "parts"),
    [
        (
            30,
            "ImageJ=1.54f\nimages=30\nchannels=2\nslices=3\nframes=5\nhyperstack=true\n",
            ["2 channels x 3 slices x 5 frames"],
        ),
        (2, "ImageJ=1.54f\nimages=2\nchannels=2\nmode=composite\n", ["2 channels"]),
        # What tifffile.imwrite(..., imagej=True) writes of an array (5, height, width).
        (
            5,
            "ImageJ=1.11a\nimages=5\nchannels=5\nhyperstack=true\nmode=grayscale\n",
            ["a stack of 5 channels", "if they are frames", "{'axes': 'TYX'}"],
        ),
        (1, "ImageJ=1.54f\nimages=7\nslices=7\n", ["7 slices with 1 page"]),
        (1, "ImageJ=1.54f\nimages=7\n", ["7 images with 1 page"]),
        (30, ome(SizeT=5, SizeZ=3, SizeC=2), ["5 frames x 3 slices x 2 channels"]),
        (30, '{"shape": [5, 3, 2, 6, 5]}', ["5 of axis 0 x 3 of axis 1 x 2 of axis 2"]),
        (1, '{"shape": [7, 6, 5]}', ["7 of axis 0 with 1 page"]),
    ],
)
def test_unclear_stacks_are_refused(
    tmp_path: Path, pages: int, description: str, parts: list[str]
) -> None:
    path = save(tmp_path / "x.tif", pages, description)
    for call in (read_frames, is_animated):
        with pytest.raises(UnreadableImageError) as error:
            call(path)
        assert all(part in str(error.value) for part in parts), error.value
    shape = (3, *SHAPE, 1)
    for of_clips in (False, True):
        [row] = read_inputs(
            [path], shape, of_clips, lambda path: read_image(path, shape[1:], "mixed")
        )
        assert row.array is None and parts[0] in str(row.error)


@pytest.mark.parametrize(
    ("pages", "description"),
    [
        (4, "ImageJ=1.54f\nimages=4\nframes=4\nloop=false\n"),
        (4, "ImageJ=1.54f\nimages=4\nslices=4\n"),
        (4, ome(SizeT=1, SizeZ=4, SizeC=1)),
        (4, '{"shape": [4, 6, 5]}'),
        (4, '{"shape": [1, 4, 1, 6, 5]}'),
        (4, '{"shape": [4, 6, 5, 1]}'),
        (1, '{"shape": [6, 5, 1]}'),
        (4, "a photograph of my cat"),
        (4, "{not json"),
        (1, "ImageJ=1.54f\n"),
    ],
)
def test_plain_stacks_are_clips(tmp_path: Path, pages: int, description: str) -> None:
    path = save(tmp_path / "x.tif", pages, description)
    assert kind_of(path) == ("clip" if pages > 1 else "image")
    assert read_frames(path)[:, 0, 0, 0].tolist() == [10, 20, 30, 40][:pages]


def test_colours_are_no_axis(tmp_path: Path) -> None:
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[270] = ome(SizeT=1, SizeZ=1, SizeC=3)
    Image.new("RGB", (5, 6), (10, 20, 30)).save(tmp_path / "x.tif", tiffinfo=info)
    assert read_frames(tmp_path / "x.tif")[0, 0, 0].tolist() == [10, 20, 30]


def test_an_imagej_stack_in_one_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ImageJ's own form of large stacks: one page, and the other images behind its pixels."""
    description = b"ImageJ=1.54f\nimages=3\nframes=3\n\0"
    pixels = bytes(range(90))
    entries = [
        (256, 4, 1, 5), (257, 4, 1, 6), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
        (270, 2, len(description), 8), (273, 4, 1, 8 + len(description)), (277, 3, 1, 1),
        (278, 4, 1, 6), (279, 4, 1, 30),
    ]  # fmt: skip
    start = 8 + len(description) + len(pixels)
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", *entry) for entry in entries) + struct.pack("<I", 0)
    content = struct.pack("<2sHI", b"II", 42, start) + description + pixels + directory
    (tmp_path / "x.tif").write_bytes(content)
    with Image.open(tmp_path / "x.tif") as opened:  # Pillow alone sees the first image.
        assert np.asarray(opened).tobytes() == pixels[:30]
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "tifffile", None)
        with pytest.raises(UnreadableImageError, match=r"3 frames with 1 page\(s\)"):
            read_frames(tmp_path / "x.tif")
    pytest.importorskip("tifffile")
    (tmp_path / "y.tif").write_bytes(content)
    assert kind_of(tmp_path / "y.tif") == "clip"
    assert read_frames(tmp_path / "y.tif").tobytes() == pixels


def test_an_animated_avif_is_a_clip(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (16, 16), (grey,) * 3) for grey in (20, 120, 220)]
    frames[0].save(tmp_path / "x.avif", save_all=True, append_images=frames[1:], quality=95)
    frames[0].save(tmp_path / "y.avif", quality=95)
    assert kind_of(tmp_path / "x.avif") == "clip" and kind_of(tmp_path / "y.avif") == "image"
    means = read_frames(tmp_path / "x.avif").mean(axis=(1, 2, 3))
    np.testing.assert_allclose(means, [20, 120, 220], atol=3)
