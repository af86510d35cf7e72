"""Foreign and mutated pictures, clips and images of lines."""

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.checks.foreign_cases import SIDE, Case, drawn, file_case, mutated, swapped

Files = list[tuple[str, bytes, Any]]
"""Name, content and pixels of whole files; None where a lossy format decides them."""

# EXIF 2.3, tag Orientation: what turns the stored pixels upright.
_UPRIGHT = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


def picture_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Single pictures."""
    files = _pictures(rng)
    for file, content, pixels in files:
        yield file_case("untouched", "picture", file, content, pixels)
    yield from mutated("picture", files, rng)
    yield from swapped("picture", files, rng)
    for file, content, pixels in _png_variants(rng):
        yield file_case("modes and depths", "picture", file, content, pixels)
    for file, content in _wrong_sizes(rng):
        yield file_case("headers of other sizes", "picture", file, content)
    grey = rng.integers(0, 256, (SIDE, SIDE), np.uint8)
    for number, upright in _UPRIGHT.items():
        for suffix in ("png", "tif", "webp"):
            exif = Image.Exif()
            exif[0x0112] = number
            content = saved(Image.fromarray(grey).convert("RGB"), suffix, exif=exif, lossless=True)
            file = f"turned{number}.{suffix}"
            yield file_case("orientations", "picture", file, content, upright(grey))


def clip_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Animations, stacks, videos, folders of frames."""
    clip = rng.integers(0, 4, (4, SIDE, SIDE), np.uint8) * 80
    frames = [Image.fromarray(frame) for frame in clip]
    more: dict[str, Any] = {"save_all": True, "append_images": frames[1:]}
    files: Files = [
        ("clip.gif", saved(frames[0], "gif", **more), clip),
        ("clip.png", saved(frames[0], "png", **more), clip),
        ("clip.webp", saved(frames[0], "webp", lossless=True, **more), clip),
        ("clip.tif", saved(frames[0], "tif", **more), clip),
        ("clip.mov", _video("mov", "png", "rgb24", clip), clip),
        ("clip.avi", _video("avi", "rawvideo", "bgr24", clip), clip),
        ("clip.mp4", _video("mp4", "mpeg4", "yuv420p", clip), None),
    ]
    for file, content, pixels in files:
        yield file_case("animations and videos", "clip", file, content, pixels)
    # Of FFV1 no mutations: FFmpeg fills up damaged frames, with what differs, and does not say so.
    content = _video("matroska", "ffv1", "bgr0", clip)
    yield file_case("animations and videos", "clip", "ffv1.mkv", content, clip)
    for disposal in (0, 1, 2):
        content = saved(frames[0], "gif", disposal=disposal, duration=0, loop=3, **more)
        yield file_case("animations and videos", "clip", f"d{disposal}.gif", content, clip)
    for frames_of in ("names", "a broken frame", "two sizes", "none", "a clip"):
        yield _folder_of_frames(frames_of, clip)
    yield from mutated("clip", files, rng)
    yield from swapped("clip", files, rng)


def line_image_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Images of lines of writing."""
    line = drawn("ab ba")
    files: Files = [
        (f"{name}.{suffix}", saved(image, suffix, **options), line)
        for name, image in (("light", Image.fromarray(line)), ("dark", Image.fromarray(255 - line)))
        for suffix, options in (("png", {}), ("bmp", {}), ("tif", {"compression": "tiff_lzw"}))
    ]
    for mode in ("1", "RGB", "P", "LA", "RGBA"):
        content = saved(Image.fromarray(255 - line).convert(mode), "png")
        yield file_case("images of lines", "line", f"{mode}.png", content, line)
    for file, content, pixels in files:
        yield file_case("images of lines", "line", file, content, pixels)
    for name, pixels in (
        ("blank", np.full_like(line, 255)),
        ("one pixel", np.full((1, 1), 255, np.uint8)),
        ("page", np.concatenate([255 - line] * 6)),
    ):
        yield file_case("images of lines", "line", f"{name}.png", saved(Image.fromarray(pixels)))
    yield from mutated("line", files[:3], rng)
    yield from swapped("line", files[:3], rng)


def saved(image: Image.Image, suffix: str = "png", **options: Any) -> bytes:
    """An image as a file."""
    stream = io.BytesIO()
    image.save(stream, Image.registered_extensions()[f".{suffix}"], **options)
    return stream.getvalue()


def _pictures(rng: np.random.Generator) -> Files:
    grey = rng.integers(0, 256, (SIDE, SIDE), np.uint8)
    colour = rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    few = rng.integers(0, 6, (SIDE, SIDE), np.uint8) * 50
    one, rgb = Image.fromarray(grey), Image.fromarray(colour)
    two = Image.fromarray(grey > 127)
    black_white = (grey > 127).astype(np.uint8) * 255
    smooth = Image.fromarray(np.indices((SIDE, SIDE)).sum(0).astype(np.uint8) * 10)
    deep = rng.integers(0, 65536, (SIDE, SIDE), np.uint16)
    deep[0, 0] = 65535
    from_deep = np.round(deep / 257).astype(np.uint8)
    plain = b"P2\n# by hand\n%d %d\n255\n" % (SIDE, SIDE)
    plain += b" ".join(b"%d" % value for value in grey.ravel()) + b"\n"
    return [
        ("grey.png", saved(one), grey),
        ("colour.png", saved(rgb), colour),
        ("palette.png", saved(Image.fromarray(few).convert("P")), few),
        ("two.png", saved(two), black_white),
        ("deep.png", saved(Image.fromarray(deep)), from_deep),
        ("grey.bmp", saved(one, "bmp"), grey),
        ("colour.bmp", saved(rgb, "bmp"), colour),
        ("grey.pgm", saved(one, "pgm"), grey),
        ("plain.pgm", plain, grey),
        ("colour.ppm", saved(rgb, "ppm"), colour),
        ("two.pbm", saved(two, "pbm"), black_white),
        ("grey.tif", saved(one, "tif"), grey),
        ("lzw.tif", saved(rgb, "tif", compression="tiff_lzw"), colour),
        ("deflate.tif", saved(one, "tif", compression="tiff_adobe_deflate"), grey),
        ("group4.tif", saved(two, "tif", compression="group4"), black_white),
        ("deep.tif", saved(Image.fromarray(deep), "tif"), from_deep),
        ("few.gif", saved(Image.fromarray(few), "gif"), few),
        ("colour.webp", saved(rgb, "webp", lossless=True), colour),
        ("grey.jp2", saved(one, "jp2"), grey),
        ("smooth.jpg", saved(smooth, "jpg"), None),
        ("rgb.jpeg", saved(rgb, "jpeg", quality=90, subsampling=2), None),
        ("progressive.jpg", saved(rgb, "jpg", progressive=True), None),
        ("lossy.webp", saved(rgb, "webp"), None),
        ("colour.avif", saved(rgb, "avif"), None),
    ]


def _png_variants(rng: np.random.Generator) -> Iterator[tuple[str, bytes, Any]]:
    """Every colour type and depth of PNG (ISO 15948, 11.2.2), written by hand, and TIFF's modes."""
    for depth in (1, 2, 4, 8, 16):
        values = rng.integers(0, 2**depth, (SIDE, SIDE))
        values[0, 0] = 2**depth - 1
        grey = np.round(values * 255 / (2**depth - 1)).astype(np.uint8)
        yield f"grey{depth}.png", png(values[..., None], depth, 0), grey
        if depth <= 8:
            palette = rng.integers(0, 256, (2**depth, 3), np.uint8)
            chunk = _chunk(b"PLTE", palette.tobytes())
            yield f"palette{depth}.png", png(values[..., None], depth, 3, chunk), palette[values]
        if depth >= 8:
            colours = np.stack([values, values[::-1], values.T], -1)
            colour = np.stack([grey, grey[::-1], grey.T], -1)
            opaque = np.full((SIDE, SIDE, 1), 2**depth - 1)
            yield f"rgb{depth}.png", png(colours, depth, 2), colour
            rgba = np.concatenate([colours, opaque], -1)
            yield f"rgba{depth}.png", png(rgba, depth, 6), colour
            la = np.concatenate([values[..., None], opaque], -1)
            yield f"la{depth}.png", png(la, depth, 4), grey
    grey = rng.integers(0, 256, (SIDE, SIDE), np.uint8)
    for kind in ("float32", "int32", "uint16", ">u2"):
        white = 1.0 if kind == "float32" else 65535
        deep = (grey / 255 * white).round(9 if kind == "float32" else 0)
        deep[0, 0] = white
        known = np.round(deep * 255 / white).astype(np.uint8)
        if kind == ">u2":
            content = b"P5 %d %d 65535\n" % (SIDE, SIDE) + deep.astype(">u2").tobytes()
            yield "deep.pgm", content, known
        else:
            image = Image.fromarray(deep.astype(kind))
            yield f"{kind}.tif", saved(image, "tif"), known
    plain = Image.fromarray(np.stack([grey] * 3, -1))
    for mode in ("CMYK", "YCbCr"):
        yield f"{mode}.tif", saved(plain.convert(mode), "tif"), None
    yield "LAB.tif", saved(Image.merge("LAB", [Image.fromarray(grey)] * 3), "tif"), None
    yield "CMYK.jpg", saved(plain.convert("CMYK"), "jpg"), None


def png(values: np.ndarray, depth: int, colour: int, chunks: bytes = b"") -> bytes:
    """A PNG of (height, width, samples), without filters."""
    height, width = values.shape[:2]
    rows = b""
    for row in values.reshape(height, -1):
        if depth == 16:
            rows += b"\0" + row.astype(">u2").tobytes()
        else:
            bits = (row[:, None] >> np.arange(depth - 1, -1, -1)) & 1
            rows += b"\0" + np.packbits(bits.astype(np.uint8)).tobytes()
    header = struct.pack(">2I5B", width, height, depth, colour, 0, 0, 0)
    parts = _chunk(b"IHDR", header) + chunks + _chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + parts + _chunk(b"IEND", b"")


def _chunk(name: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + check


def _wrong_sizes(rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """Headers that announce other sizes than there are pixels."""
    whole = png(rng.integers(0, 256, (SIDE, SIDE, 1)), 8, 0)
    sides = (0, 1, SIDE - 1, SIDE + 1, 1000, 65535, 65536, 2**31 - 1, 2**32 - 1)
    for number, (width, height) in enumerate(
        [*((side, SIDE) for side in sides), *((SIDE, side) for side in sides), (40000, 40000)]
    ):
        header = _chunk(b"IHDR", struct.pack(">2I", width, height) + whole[24:29])
        yield f"size{number}.png", whole[:8] + header + whole[33:]
    for width, height in ((0, SIDE), (SIDE, 0), (SIDE, 100000), (99999, 99999), (-1, SIDE)):
        yield f"{width}x{height}.pgm", b"P5 %d %d 255\n" % (width, height) + bytes(SIDE * SIDE)
    bmp = saved(Image.fromarray(np.zeros((SIDE, SIDE), np.uint8)), "bmp")
    for width, height in ((0, SIDE), (SIDE, -SIDE), (100000, 100000), (-SIDE, SIDE), (SIDE, 13)):
        yield f"{width}x{height}.bmp", bmp[:18] + struct.pack("<2i", width, height) + bmp[26:]
    gif = saved(Image.fromarray(np.zeros((SIDE, SIDE), np.uint8)), "gif")
    for width, height in ((0, 0), (65535, 65535), (1, 1)):
        yield f"{width}x{height}.gif", gif[:6] + struct.pack("<2H", width, height) + gif[10:]


def _video(container: str, codec: str, pixels: str, clip: np.ndarray) -> bytes:
    import av

    stream = io.BytesIO()
    with av.open(stream, "w", format=container) as output:
        video: Any = output.add_stream(codec, rate=10)
        video.height, video.width, video.pix_fmt = SIDE, SIDE, pixels
        for frame in clip:
            output.mux(video.encode(av.VideoFrame.from_ndarray(np.stack([frame] * 3, -1), "rgb24")))
        output.mux(video.encode())
    return stream.getvalue()


def _folder_of_frames(which: str, clip: np.ndarray) -> Case:
    def write(folder: Path) -> Path:
        path = folder / "frames"
        path.mkdir()
        for number, frame in enumerate(clip[: 0 if which == "none" else None]):
            cut = frame[:7] if which == "two sizes" and number == 2 else frame
            content = saved(Image.fromarray(cut))
            if number == 1 and which == "a broken frame":
                content = content[:60]
            if number == 1 and which == "a clip":
                content = saved(
                    Image.fromarray(frame), save_all=True, append_images=[Image.fromarray(clip[0])]
                )
            (path / f"frame{number + 8}.png").write_bytes(content)
        return path

    known = clip if which == "names" else None
    return Case("folders of frames", f"frames: {which}", "clip", write, known)
