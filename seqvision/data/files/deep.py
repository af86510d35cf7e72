"""Deep pictures: those of more than 8 bits a value, or of floats, and what Pillow misses of them.

Pillow keeps the higher byte of each value where a colour has 16 bits. Its decoders can give the
other byte too, under another raw mode (its handbook, "Writing your own image plugin"): it is kept
beside the picture, in `info`.
"""

import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, UInt8
from PIL import Image, TiffImagePlugin

_LOW = "low bytes"
# TIFF tags.
_PHOTOMETRIC, _BITS, _SAMPLES, _PLANAR, _SAMPLE_FORMAT = 262, 258, 277, 284, 339
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_NAMES = {_UNSIGNED: "whole numbers", _SIGNED: "signed numbers", _FLOAT: "floats",
          5: "complex whole numbers", 6: "complex numbers"}  # fmt: skip
# Raw modes of pictures whose higher bytes Pillow reads, and those that read the lower ones.
_SWAPPED = {
    f"{bands};16{order}": f"{bands.upper()};16{other}"
    for bands in ("RGB", "RGBA", "RGBX", "RGBa")
    for order, other in (("B", "L"), ("L", "B"), ("N", "B" if sys.byteorder == "little" else "L"))
}
_PREMULTIPLIED = "RGBa"  # Colours times opacity.
_GREY_WITH_ALPHA = "LA;16B"  # Four bytes, which is what RGBA has.

# Grey TIFFs that Pillow's decoders read, and its table leaves out or takes for bytes (TIFF 6.0,
# section 19): (byte order, sample format, bits) to mode and raw mode. Floats of 16 bits come as
# the same bits in I;16.
_KINDS = {
    (b"II", _FLOAT, 64): ("F", "F;64F"),
    (b"MM", _FLOAT, 64): ("F", "F;64BF"),
    (b"II", _FLOAT, 16): ("I;16", "I;16"),
    (b"MM", _FLOAT, 16): ("I;16B", "I;16B"),
    (b"MM", _UNSIGNED, 32): ("I", "I;32B"),
    (b"II", _SIGNED, 8): ("I", "I;8S"),
    (b"MM", _SIGNED, 8): ("I", "I;8S"),
}
# libtiff gives the machine's own byte order, and Pillow knows it of 16 bits without a sign only.
_NATIVE = {
    "I;16B": "I;16N", "I;16S": "I;16NS", "I;16BS": "I;16NS", "I;32B": "I;32N", "I;32S": "I;32NS",
    "I;32BS": "I;32NS", "F;32F": "F;32NF", "F;32BF": "F;32NF", "F;64F": "F;64NF",
    "F;64BF": "F;64NF",
}  # fmt: skip


class DeepPixels(NamedTuple):
    """Values (height, width) or (height, width, 3), and the opacity of each pixel if any."""

    values: Float64[np.ndarray, "height width *channels"]
    opacity: UInt8[np.ndarray, "height width"] | None

    @property
    def seen(self) -> np.ndarray:
        """The finite values of pixels that are not wholly transparent."""
        values = self.values if self.opacity is None else self.values[self.opacity > 0]
        return values[np.isfinite(values)]


def know_more_tiffs() -> None:
    """Adds to Pillow's table the kinds of TIFF that its decoders read as well; see `_KINDS`."""
    for (order, sample_format, bits), kind in _KINDS.items():
        TiffImagePlugin.OPEN_INFO[order, 1, (sample_format,), 1, (bits,), ()] = kind
    # Of those whose 0 is white it has the other byte order.
    TiffImagePlugin.OPEN_INFO[b"MM", 0, (_UNSIGNED,), 1, (16,), ()] = ("I;16B", "I;16B")


def unknown_tiff(path: Path) -> str:
    """What the values of a TIFF are that Pillow does not open, by its header; "" of other files."""
    with path.open("rb") as file:
        head = file.read(8)
        if head[:4] not in (b"II*\0", b"MM\0*"):
            return ""
        tags = TiffImagePlugin.ImageFileDirectory_v2(head)
        try:
            file.seek(tags.next)
            tags.load(file)
            bits, samples = int(tags.get(_BITS, (1,))[0]), int(tags.get(_SAMPLES, 1))
            name = _NAMES[tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))[0]]
        except (OSError, ValueError, TypeError, KeyError, IndexError, SyntaxError, struct.error):
            return ""
    return f"{samples} channel(s) of {bits}-bit {name}"


def has_deep_planes(opened: Image.Image) -> bool:
    """Whether a TIFF has its colours in planes of more than 8 bits, which Pillow reads as bytes."""
    tags = getattr(opened, "tag_v2", {})
    return tags.get(_PLANAR, 1) == 2 and len(opened.getbands()) > 1 and max(tags[_BITS]) > 8


def is_deep(image: Image.Image) -> bool:
    """Whether its values are of more than 8 bits, or floats: of a file, or of `with_low_bytes`."""
    if image.mode.startswith("I") or image.mode == "F" or _LOW in image.info:
        return True
    return _raw_mode(image) in (*_SWAPPED, _GREY_WITH_ALPHA)


def with_low_bytes(
    opened: Image.Image, turned: Callable[[Image.Image], Image.Image]
) -> Image.Image:
    """The picture of an open file, copied by `turned`, with all that `deep_pixels` needs."""
    raw_mode = _raw_mode(opened)
    if raw_mode == _GREY_WITH_ALPHA:
        _set_raw_mode(opened, "RGBA")
        high, low, alpha, _ = turned(opened).split()
        image = Image.merge("LA", (high, alpha))
        image.info[_LOW] = low
        return image
    if raw_mode not in _SWAPPED:
        _know_byte_order(opened)
        return _as_numbers(turned(opened), opened)
    with Image.open(getattr(opened, "filename", "")) as other:
        other.seek(opened.tell())
        _set_raw_mode(other, _SWAPPED[raw_mode])
        low = turned(other)
    if raw_mode.startswith(_PREMULTIPLIED):
        _set_raw_mode(opened, raw_mode.upper())
    image = turned(opened)
    image.info |= {_LOW: low, _PREMULTIPLIED: raw_mode.startswith(_PREMULTIPLIED)}
    return image


def from_values(values: np.ndarray) -> Image.Image:
    """A picture of uint16 or float32 (height, width), or uint16 (height, width, 3 or 4)."""
    if values.ndim == 2:
        return Image.fromarray(values)
    image = Image.fromarray((values >> 8).astype(np.uint8))
    image.info[_LOW] = Image.fromarray((values & 255).astype(np.uint8))
    return image


def deep_pixels(image: Image.Image) -> DeepPixels:
    """What a deep picture holds; see `is_deep`."""
    bands = np.asarray(image)
    opacity = bands[..., -1] if image.mode in ("LA", "RGBA") else None
    if _LOW in image.info:
        low = np.asarray(image.info[_LOW]).astype(np.float64)
        colours = 1 if image.mode == "LA" else 3
        values = bands[..., :colours] * 256.0 + low.reshape(*bands.shape[:2], -1)[..., :colours]
        values = values[..., 0] if colours == 1 else values
        if image.info.get(_PREMULTIPLIED):
            values = values * 65535 / np.maximum(bands[..., 3:] * 256.0 + low[..., 3:], 1)
    else:
        values = bands.astype(np.float64)
    # PNG, 11.3.2.1: pixels of this value, in 16 bits, are transparent.
    hidden = image.info.get("transparency")
    if opacity is None and isinstance(hidden, int | tuple):
        is_hidden = np.atleast_3d(values == np.asarray(hidden)).all(axis=-1)
        opacity = np.where(is_hidden, 0, 255).astype(np.uint8)
    return DeepPixels(values, opacity)


def _raw_mode(image: Image.Image) -> str:
    """That of a file whose pixels are not read yet; "" of others, and of animations."""
    tiles = getattr(image, "tile", ())
    if not tiles or (image.format == "PNG" and getattr(image, "is_animated", False)):
        return ""
    arguments = tiles[0].args
    return arguments if isinstance(arguments, str) else str(arguments and arguments[0])


def _set_raw_mode(opened: Image.Image, raw_mode: str) -> None:
    opened.tile = [  # type: ignore[attr-defined]
        tile._replace(args=raw_mode if isinstance(tile.args, str) else (raw_mode, *tile.args[1:]))
        for tile in opened.tile  # type: ignore[attr-defined]
    ]


def _know_byte_order(opened: Image.Image) -> None:
    tiles = getattr(opened, "tile", ())
    if tiles and tiles[0].codec_name == "libtiff":
        _set_raw_mode(opened, _NATIVE.get(tiles[0].args[0], tiles[0].args[0]))


def _as_numbers(image: Image.Image, opened: Image.Image) -> Image.Image:
    """The picture with its values as they are meant: inverted, floats, without a sign."""
    tags = getattr(opened, "tag_v2", {})
    kind = tuple(tags.get(_SAMPLE_FORMAT, (_UNSIGNED,)))[:1], tuple(tags.get(_BITS, (1,)))
    if kind == ((_FLOAT,), (16,)):
        halves = np.asarray(image).astype(np.uint16).view(np.float16)
        return Image.fromarray(halves.astype(np.float32))
    if kind == ((_UNSIGNED,), (32,)) and image.mode == "I":
        whole = np.asarray(image).view(np.uint32)
        return Image.fromarray(whole.astype(np.float32)) if whole.max() > 2**31 - 1 else image
    # Of TIFFs whose 0 is white, Pillow inverts those of 8 bits only.
    if tags.get(_PHOTOMETRIC) == 0 and image.mode.startswith("I;16"):
        return Image.fromarray(65535 - np.asarray(image, np.uint16))
    return image
