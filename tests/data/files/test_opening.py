"""Files that would fill the memory are refused by their headers, whatever is behind these."""

import gzip
import io
import struct
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seqvision.data.files import opening
from seqvision.data.files.clips import read_frames
from seqvision.data.files.images import read_image
from seqvision.data.files.opening import UnreadableImageError
from seqvision.data.sources.idx import read_idx
from seqvision.inference.inputs import read_inputs
from tests.data.making import npz, save_animation, says


def png(width: int, height: int) -> bytes:
    """A PNG that ends after its header and a few pixels (W3C's PNG specification, 11.2.2)."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


def read_small(path: Path) -> np.ndarray:
    return read_image(path, (8, 8, 1), "mixed")


def refused(path: Path, *parts: str) -> None:
    """In training and in prediction, of images and of clips, at once."""
    begun = time.perf_counter()
    with pytest.raises(UnreadableImageError) as error:
        read_frames(path)
    assert all(part in str(error.value) for part in parts), error.value
    for of_clips in (False, True):
        [row] = read_inputs([path], (3, 8, 8, 1), of_clips, read_small)
        assert row.array is None and row.error
    assert time.perf_counter() - begun < 2


@pytest.mark.parametrize(("width", "height"), [(1, 60_000_000), (60_000_000, 1), (65536, 2)])
def test_long_sides(tmp_path: Path, width: int, height: int) -> None:
    (tmp_path / "x.png").write_bytes(png(width, height))
    refused(tmp_path / "x.png", f"{height} x {width} pixels", "65535")


@pytest.mark.parametrize("side", [12_000, 40_000])
def test_large_areas(tmp_path: Path, side: int) -> None:
    (tmp_path / "x.png").write_bytes(png(side, side))
    with pytest.raises(UnreadableImageError) as error:
        read_frames(tmp_path / "x.png")
    # 12,000 x 12,000 fits, and is found to be cut short.
    assert ("more than 178,956,970 pixels" in str(error.value)) == (side == 40_000)


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".tif"])
def test_many_frames(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    clip = rng.integers(0, 256, (9, 20, 30, 3), np.uint8)
    path = save_animation(tmp_path / f"x{suffix}", clip)
    assert read_frames(path).shape == clip.shape
    monkeypatch.setattr(opening, "MOST_BYTES", clip.nbytes - 1)
    refused(path, "9 frame(s) of 20 x 30", "cut it")


def zipped(path: Path, **shapes: tuple[int, ...]) -> Path:
    """A deflated `.npz` of zeros: of 3 GB, three MB remain."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, shape in shapes.items():
            header = io.BytesIO()
            fields = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(header, fields)
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                file.write(header.getvalue())
                file.write(bytes(1000))
    return path


@pytest.mark.parametrize("shape", [(3_000_000, 32, 32), (1, 60_000, 60_000), (10**9, 3, 1)])
def test_npz_files_that_declare_gigabytes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = zipped(tmp_path / "x.npz", images=shape, labels=(shape[0],))
    [row] = read_inputs([path], (8, 8, 1), False, lambda path: pytest.fail("read"))
    assert row.array is None and row.error is not None
    assert "compressed and too large" in row.error and "resident_bytes" not in row.error
    says(lambda: npz(path, resident_bytes=2**31), "too large", "config.data.resident_bytes")


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
@pytest.mark.parametrize("shape", [(60_000, 60_000, 1), (2**32 - 1, 2**32 - 1), (3 * 10**9,)])
def test_idx_files_that_declare_gigabytes(
    tmp_path: Path, shape: tuple[int, ...], compress: type[bytes]
) -> None:
    sizes = struct.pack(f">{len(shape)}I", *shape)
    (tmp_path / "x").write_bytes(compress(bytes([0, 0, 8, len(shape)]) + sizes + bytes(9)))
    with pytest.raises(ValueError, match=r"bytes by its header .*, too large"):
        read_idx(tmp_path / "x")


def test_other_formats_are_not_tried(tmp_path: Path) -> None:
    for form in ("TGA", "PCX", "SGI", "ICO"):
        Image.new("RGB", (16, 16), (9, 9, 9)).save(tmp_path / "x.png", form)
        refused(tmp_path / "x.png", "no image")


def test_an_mpo_of_a_phone_is_a_jpeg(tmp_path: Path) -> None:
    image = Image.new("RGB", (16, 16), (90, 90, 90))
    image.save(tmp_path / "x.jpg", "MPO", save_all=True, append_images=[image])
    assert read_frames(tmp_path / "x.jpg").shape[0] == 1


def test_a_cut_tiff_is_named_as_damaged(tmp_path: Path) -> None:
    """Wherever it ends: no words of a library, and no other kind of file."""
    raw = ("unpack", "Missing", "decoder error", "zlib", "which is not read")
    pixels = np.random.default_rng(0).integers(0, 60_000, (6, 6)).astype(np.uint16)
    for compression in (None, "tiff_deflate"):
        Image.fromarray(pixels).save(tmp_path / "x.tif", compression=compression)
        content, found = (tmp_path / "x.tif").read_bytes(), list[str]()
        for end in range(1, len(content), 3):
            (tmp_path / "x.tif").write_bytes(content[:end])
            try:
                read_frames(tmp_path / "x.tif")
            except UnreadableImageError as error:
                found.append(str(error))
        assert len(found) > len(content) / 4
        assert not [line for line in found for word in raw if word in line]
