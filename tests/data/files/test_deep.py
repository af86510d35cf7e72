"""Pictures and videos of more than 8 bits a value in all forms: they follow the set's one scale."""

import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from seqvision.data.files.clips import read_clip, read_frames
from seqvision.data.files.doubts import Doubts
from seqvision.data.files.images import read_image
from seqvision.data.files.opening import UnreadableImageError
from seqvision.data.files.tones import Tones
from seqvision.data.sources.set_tones import tones_of
from seqvision.errors import UserError
from tests.data.files.deep_files import (
    READ,
    VALUES,
    big,
    png16,
    stack_of_colours,
    tiff,
    video,
    with_channels,
)
from tests.data.making import arrays, folders


@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_12_bits_in_a_png_of_16(tmp_path: Path, channels: int, filtered: bool) -> None:
    """As grey, grey with alpha, colours, and colours with alpha: the same values."""
    for name in "ab":
        png16(tmp_path / name / "0.png", with_channels(channels), filtered)
    dataset = folders(tmp_path)
    assert dataset.tones.value_range == (0, 4095)
    assert arrays(dataset).inputs[0, ..., 0].tolist() == READ
    file, shape = tmp_path / "a" / "0.png", dataset.input_shape
    # A run on pictures of 8 bits takes the depth of grey files, and else that of 16 bits.
    alone = READ if channels == 1 else [[0, 4, 8, 12], [16, 0, 0, 16]]
    for tones, read in ((dataset.tones, READ), (Tones(), alone)):
        assert read_image(file, shape, "mixed", "never", tones)[..., 0].tolist() == read
        assert read_clip(file, shape, tones)[0, ..., 0].tolist() == read


def test_colours_differ_and_hidden_ones_do_not_count(tmp_path: Path) -> None:
    pixels = np.zeros((2, 2, 4), np.uint16)
    pixels[0, 0] = (1000, 2000, 4000, 65535)
    pixels[0, 1] = (0, 0, 300, 65535)
    pixels[1] = (60000, 60000, 60000, 0)  # Hidden.
    for name in "ab":
        png16(tmp_path / name / "0.png", pixels)
    dataset = folders(tmp_path)
    # Ink is dark in the set's own range: (1000, 2000, 4000) and nearly black.
    assert dataset.tones == Tones((0, 4095), "white")
    found = arrays(dataset).inputs[0].tolist()
    assert found == [[[62, 125, 249], [0, 0, 19]], [[255, 255, 255], [255, 255, 255]]]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_colour_that_stands_for_nothing(tmp_path: Path, channels: int) -> None:
    """The chunk tRNS names a value in 16 bits; one that differs in its lower byte is seen."""
    pixels = np.full((2, 2, channels), 1000, np.uint16)
    pixels[0, 0], pixels[1, 1] = 1001, 0
    file = png16(tmp_path / "a.png", pixels, hidden=struct.pack(">H", 1000) * channels)
    found = read_clip(file, (2, 2, 1), Tones((0, 1001), "white"))[0, ..., 0]
    assert found.tolist() == [[255, 255], [255, 0]]
    found = read_clip(file, (2, 2, 1), Tones((0, 2002), "white"))[0, ..., 0]
    assert found.tolist() == [[128, 255], [255, 0]]


@pytest.mark.parametrize("compression", ["raw", "deflate"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "dtype", ["uint16", "int16", "uint32", "int32", "float16", "float32", "float64"]
)
def test_numbers_in_a_tiff(tmp_path: Path, dtype: str, order: str, compression: str) -> None:
    for name in "ab":
        tiff(tmp_path / name / "0.tif", VALUES.astype(dtype), order, compression)
    dataset = folders(tmp_path, tones=Tones((0, 4095)))
    assert folders(tmp_path).tones.value_range == (0, 4096 if dtype == "float16" else 4095)
    assert arrays(dataset).inputs[0, ..., 0].tolist() == READ


@pytest.mark.parametrize("order", ["<", ">"])
def test_small_signed_and_large_numbers_in_a_tiff(tmp_path: Path, order: str) -> None:
    signed = np.array([[-128, 0, 127, -1]], np.int8)
    tones = Tones((-128, 127))
    found = read_clip(tiff(tmp_path / "a.tif", signed, order), (1, 4, 1), tones)
    assert found.ravel().tolist() == [0, 128, 255, 127]
    large = np.array([[0, 2**31, 2**32 - 1, 2**30]], np.uint32)
    found = read_clip(tiff(tmp_path / "b.tif", large, order), (1, 4, 1), Tones((0, 2.0**32)))
    assert found.ravel().tolist() == [0, 128, 255, 64]
    fractions = np.array([[0.25, -1.5, 1.0, 0.5]], np.float64)
    found = read_clip(tiff(tmp_path / "c.tif", fractions, order), (1, 4, 1), Tones((0, 1)))
    assert found.ravel().tolist() == [64, 0, 255, 128]


@pytest.mark.parametrize("compression", ["raw", "deflate"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_colours_of_a_tiff(tmp_path: Path, order: str, compression: str) -> None:
    colours = np.stack([VALUES, VALUES[::-1], VALUES // 2], axis=-1)
    file = tiff(tmp_path / "a.tif", colours, order, compression)
    found = read_clip(file, (2, 4, 3), Tones((0, 4095)))[0]
    assert found[..., 0].tolist() == READ
    assert found[..., 1].tolist() == READ[::-1]
    assert found[0, :, 2].tolist() == [0, 31, 62, 93]


@pytest.mark.parametrize(
    ("dtype", "named"),
    [("uint64", "64-bit whole numbers"), ("int64", "64-bit signed"), ("float32", "32-bit floats")],
)
def test_a_tiff_that_is_not_read_is_named(
    tmp_path: Path, dtype: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tifffile", None)
    values = VALUES.astype(dtype)
    values = np.stack([values] * 3, axis=-1) if dtype == "float32" else values
    with pytest.raises(UnreadableImageError, match=named):
        read_frames(tiff(tmp_path / "a.tif", values, "<"))


@pytest.mark.parametrize("compression", ["raw", "deflate"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("extra", [1, 2])
def test_opacity_of_a_tiff(tmp_path: Path, order: str, compression: str, extra: int) -> None:
    """ExtraSamples 1: colours are multiplied by it; 2: they are not (TIFF 6.0, section 18)."""
    opacity = np.array([[65535, 32768, 32768, 65535], [65535, 65535, 32768, 0]])
    colours = VALUES if extra == 2 else np.rint(VALUES * (opacity / 65535))
    pixels = np.stack([colours] * 3 + [opacity], axis=-1).astype(np.uint16)
    file = tiff(tmp_path / "a.tif", pixels, order, compression, extra=extra)
    found = read_clip(file, (2, 4, 1), Tones((0, 4095), "black"))[0, ..., 0]
    np.testing.assert_allclose(found, np.array(READ) * opacity / 65535, atol=1)


@pytest.mark.parametrize("compression", ["raw", "deflate"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_zero_is_white_in_any_byte_order(tmp_path: Path, order: str, compression: str) -> None:
    file = tiff(tmp_path / "a.tif", 4095 - VALUES, order, compression, photometric=0)
    found = read_clip(file, (2, 4, 1), Tones((65535 - 4095, 65535)))[0, ..., 0]
    assert found.tolist() == READ


def test_planes_of_16_bits_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow reads their bytes as pixels."""
    monkeypatch.setitem(sys.modules, "tifffile", None)
    file = tiff(tmp_path / "a.tif", np.stack([VALUES] * 3, axis=-1), "<")
    content = file.read_bytes()
    # The tag of the sample format, which has its default, becomes PlanarConfiguration 2.
    at = content.index(struct.pack("<HHI", 339, 3, 3))
    planar = struct.pack("<HHIHH", 284, 3, 1, 2, 0)
    file.write_bytes(content[:at] + planar + content[at + 12 :])
    with pytest.raises(UnreadableImageError, match="PlanarConfiguration 1"):
        read_frames(file)


@pytest.mark.parametrize(
    ("source", "pix_fmt", "channels"),
    [
        ("gray16le", "gray16le", 1),
        ("gray12le", "gray12le", 1),
        ("rgb48le", "gbrp16le", 3),
        ("rgba64le", "gbrap16le", 4),
    ],
)
def test_deep_frames_of_a_video(tmp_path: Path, source: str, pix_fmt: str, channels: int) -> None:
    """They are what the same frames are as PNGs."""
    values = with_channels(channels)
    frames = big(values)
    if channels == 4:
        frames[..., 3] = 65535
    raw = frames[..., 0] if channels == 1 else frames
    for name in "ab":
        video(tmp_path / "videos" / name / "0.mkv", raw, source, pix_fmt)
        for number, frame in enumerate(frames):
            png16(tmp_path / "pictures" / name / "0" / f"{number}.png", frame)
    found = folders(tmp_path / "videos")
    assert found.tones.value_range == (0, 4095)
    assert arrays(found).inputs[0, 0, :2, :4, 0].tolist() == READ
    pictures = arrays(folders(tmp_path / "pictures", kind="clips"))
    np.testing.assert_array_equal(arrays(found).inputs, pictures.inputs)


@pytest.mark.parametrize(
    ("suffix", "codec", "pix_fmt", "tolerance"),
    [
        (".mkv", "ffv1", "bgra", 0),
        (".mkv", "ffv1", "yuva444p", 3),
        (".mov", "prores_ks", "yuva444p10le", 6),
        (".mov", "qtrle", "argb", 0),
        (".webm", "libvpx-vp9", "yuva420p", 6),
    ],
)
@pytest.mark.parametrize(("ink", "paper"), [(30, 255), (240, 0)])
def test_transparent_videos_lie_on_the_set_s_paper(
    tmp_path: Path, suffix: str, codec: str, pix_fmt: str, tolerance: int, ink: int, paper: int
) -> None:
    """As the same clip as an animated PNG."""
    frames = np.zeros((3, 32, 48, 4), np.uint8)
    frames[..., :3] = 120  # A colour that is hidden.
    frames[:, 8:24, 8:24] = (ink, ink, ink, 255)
    images = [Image.fromarray(frame) for frame in frames]
    for name in "ab":
        video(tmp_path / "videos" / name / f"0{suffix}", frames, "rgba", pix_fmt, codec)
        (tmp_path / "apngs" / name).mkdir(parents=True)
        file = tmp_path / "apngs" / name / "0.png"
        images[0].save(file, save_all=True, append_images=images[1:], duration=[100, 200, 300])
    found, expected = folders(tmp_path / "videos"), folders(tmp_path / "apngs")
    assert found.tones == expected.tones == Tones(None, "white" if paper else "black")
    video_pixels = arrays(found).inputs[0, :, ..., 0].astype(int)
    difference = np.abs(video_pixels - arrays(expected).inputs[0, :, ..., 0])
    # Colours of half the resolution reach over the edge.
    assert difference[:, 10:22, 10:22].max() <= tolerance
    assert difference[:, :6].max() == difference[:, 26:].max() == 0
    assert video_pixels[0, 0, 0] == paper and abs(video_pixels[0, 16, 16] - ink) <= tolerance


def test_equal_values_of_8_and_of_16_bits_stay_equal(tmp_path: Path) -> None:
    """Of PNG and TIFF: 60 of 255 is 15420 of 65535 (PNG, 13.12), also where none is lighter."""
    grey = np.full((2, 2), 60, np.uint8)
    grey[0, 0] = 10
    deep = grey.astype(np.uint16) * 257
    for name, others in (("a", grey), ("b", grey)):
        (tmp_path / name).mkdir()
        Image.fromarray(others).save(tmp_path / name / "8.png")
    png16(tmp_path / "a" / "16.png", np.stack([deep] * 3, axis=-1))
    png16(tmp_path / "b" / "17.png", deep[..., None])
    tiff(tmp_path / "a" / "18.tif", deep, ">")
    said: list[str] = []
    dataset = folders(tmp_path, say=said.append)
    assert dataset.tones.value_range == (0, 65535)
    inputs = arrays(dataset).inputs[..., 0]
    assert len(inputs) == 5 and (inputs == grey).all()
    [line] = [line for line in said if "more than 8 bits" in line]
    assert line.endswith("0 to 65535 of the former is taken for 0 to 255 of the latter")


def test_8_bits_beside_a_video_of_12(tmp_path: Path) -> None:
    frames = big(np.full((2, 4), 1000, np.uint16))
    video(tmp_path / "a" / "0.mkv", frames, "gray12le", "gray12le")
    video(tmp_path / "b" / "0.mkv", (frames >> 4).astype(np.uint8), "gray", "gray")
    dataset = folders(tmp_path)
    assert dataset.tones.value_range == (0, 4095)
    assert arrays(dataset).inputs[:, 0, 0, 0, 0].tolist() == [62, 62]  # 1000 / 16, 255 * 1000/4095


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_a_dark_picture_stays_dark_in_a_run_of_8_bits(tmp_path: Path, channels: int) -> None:
    """With colours or opacity, by hand: 255 v / 65535, which is nearly the higher byte."""
    dark = np.minimum(with_channels(channels), 200)
    dark[..., -1] = 65535 if channels % 2 == 0 else dark[..., -1]
    found = read_image(png16(tmp_path / "a.png", dark), (2, 4, 1), "mixed", "never")
    assert found.max() == 1  # 200 / 257
    file = video(tmp_path / "a.mkv", big(np.full((2, 4, 3), 200, np.uint16) << 6), "rgb48le",
                 "gbrp10le")  # fmt: skip
    assert read_clip(file, (32, 48, 1))[0, 0, 0, 0] == 50  # 255 * 200 / 1023


def test_a_video_in_yuv_of_10_bits_is_not_doubted(tmp_path: Path) -> None:
    """It is read as 8 bits, as the pictures of the run."""
    file = video(tmp_path / "a.mkv", big(np.full((2, 4, 3), 99, np.uint8)), "rgb24", "yuv444p10le")
    doubts = Doubts()
    read_clip(file, (32, 48, 1), Tones(), doubts)
    assert doubts.taken() is None


def test_tones_are_not_kept_where_a_library_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = video(tmp_path / "a" / "0.mkv", big(VALUES), "gray12le", "gray12le")
    kept = tmp_path / "kept.json"
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "av", None)
        with pytest.raises(UserError, match=r"pip install 'seqvision\[video\]'"):
            tones_of([file], Tones(), kept, lambda line: None)
    assert tones_of([file], Tones(), kept, lambda line: None).value_range == (0, 4095)


def test_the_process_keeps_its_own_tiffs(tmp_path: Path) -> None:
    """Pillow, asked by others, refuses what it does not know, and takes no bits for values."""
    file = tiff(tmp_path / "a.tif", VALUES.astype("float16"), "<")
    before = dict(TiffImagePlugin.OPEN_INFO)
    assert read_frames(file, tones=Tones((0, 4095))).max() == 255
    assert before == TiffImagePlugin.OPEN_INFO
    with pytest.raises(UnidentifiedImageError):
        Image.open(file)


@pytest.mark.parametrize("largest", [65535, 4095])
def test_grey_of_16_bits_as_pgm_and_jpeg_2000(tmp_path: Path, largest: int) -> None:
    """PGM (netpbm): big-endian, scaled by its own maximum; JPEG 2000 by its number of bits."""
    pixels = np.array([[0, largest // 3], [largest, largest // 5]], np.uint16)
    for name in "ab":
        (tmp_path / name).mkdir()
        head = f"P5 2 2 {largest}\n".encode()
        (tmp_path / name / "0.pgm").write_bytes(head + pixels.astype(">u2").tobytes())
    if largest == 65535:
        Image.fromarray(pixels).save(tmp_path / "a/1.jp2", irreversible=False)
    Image.fromarray(np.full((2, 2), 51, np.uint8)).save(tmp_path / "b/1.png")
    dataset = folders(tmp_path)
    assert dataset.tones.value_range == (0, 65535)
    found = arrays(dataset).inputs.reshape(-1, 4).tolist()
    assert found == [[0, 85, 255, 51]] * (len(found) - 1) + [[51] * 4]


def test_a_damaged_tiff_of_8_bits_is_not_called_unknown(tmp_path: Path) -> None:
    file = tiff(tmp_path / "a.tif", VALUES.astype(np.uint8), "<", photometric=99)
    with pytest.raises(UnreadableImageError, match="no image, or a damaged one"):
        read_frames(file)


def test_a_tiff_of_many_colour_pages_is_opened_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from seqvision.data.files import deep

    opened: list[Any] = []
    real = Image.open
    monkeypatch.setattr(Image, "open", lambda p, **k: opened.append(real(p, **k)) or opened[-1])
    monkeypatch.setattr(deep.Image, "open", Image.open)
    pages = [np.stack([VALUES + page] * 3, axis=-1) for page in range(3)]
    file = stack_of_colours(tmp_path / "a.tif", pages)
    opened.clear()
    found = read_frames(file, tones=Tones((0, 65535 / 257)))
    expected = [np.minimum(page, 255) for page in pages]
    np.testing.assert_array_equal(found[..., 0], np.stack(expected)[..., 0])
    assert len(opened) <= 3
    assert all(one.fp is None or one.fp.closed for one in opened)
