"""Deep pictures: those of more than 8 bits a value, or of floats, and what Pillow misses of them.

Pillow keeps the higher byte of each value where a colour has 16 bits. Its decoders can give the
other byte too, under another raw mode (its handbook, "Writing your own image plugin"): it is kept
beside the picture, in `info`.
"""

import contextlib
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Num, UInt8
from PIL import Image, TiffImagePlugin

_LOW = "low bytes"
_SECOND = "_second_of_seqvision"
# TIFF tags.
_NEEDED, _STRIPS, _TILES = {256, 257}, 273, 324  # Width, height, and where the pixels lie.
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

    values: Num[np.ndarray, "height width *channels"]
    opacity: UInt8[np.ndarray, "height width"] | None

    @property
    def seen(self) -> np.ndarray:
        """The finite values of pixels that are not wholly transparent."""
        values = self.values if self.opacity is None else self.values[self.opacity > 0]
        return values[np.isfinite(values)] if values.dtype.kind == "f" else values

    @property
    def is_grey(self) -> bool:
        """One number a pixel, without opacity."""
        return self.values.ndim == 2 and self.opacity is None


# To Pillow's table, for the files of `_Tiff` alone.
_MORE: dict[Any, tuple[str, str]] = {
    **{(order, 1, (form,), 1, (bits,), ()): kind for (order, form, bits), kind in _KINDS.items()},
    # Of those whose 0 is white it has the other byte order.
    (b"MM", 0, (_UNSIGNED,), 1, (16,), ()): ("I;16B", "I;16B"),
}
_TABLE_LOCK = threading.RLock()


class _Tiff(TiffImagePlugin.TiffImageFile):
    """A TIFF, also of the kinds in `_KINDS`, which Pillow's own decoders read as well."""

    def _setup(self) -> None:
        with _more_in_table():
            try:
                super()._setup()
            except ValueError as error:  # It has no size, for one: nothing that opens.
                raise SyntaxError(str(error)) from error


@contextlib.contextmanager
def _more_in_table() -> Iterator[None]:
    table = TiffImagePlugin.OPEN_INFO
    with _TABLE_LOCK:
        before = {key: table.get(key) for key in _MORE}
        table.update(_MORE)
        try:
            yield
        finally:
            for key, kind in before.items():
                if kind is None:
                    del table[key]
                else:
                    table[key] = kind


OWN_TIFF = "SEQVISION TIFF"
"""The name by which `Image.open` gives a `_Tiff`; it tries it only where it is asked to."""
Image.OPEN[OWN_TIFF] = (
    _Tiff,
    lambda prefix: prefix[:4] in TiffImagePlugin.PREFIXES,
)


def unknown_tiff(path: Path) -> str:
    """What the values of a TIFF are that Pillow does not open, by its header; "" of other files."""
    with path.open("rb") as file:
        head = file.read(8)
        if head[:4] not in (b"II*\0", b"MM\0*") or len(head) < 8:
            return ""
        tags = TiffImagePlugin.ImageFileDirectory_v2(head)
        try:
            file.seek(tags.next)
            tags.load(file)
            if not set(tags) >= _NEEDED or not {_STRIPS, _TILES} & set(tags):
                return ""  # It is cut short.
            bits, samples = int(tags.get(_BITS, (1,))[0]), int(tags.get(_SAMPLES, 1))
            name = _NAMES[tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))[0]]
        except (OSError, ValueError, TypeError, KeyError, IndexError, SyntaxError, struct.error):
            return ""
    # Pillow reads those of 8 bits: such a file is damaged.
    is_known = name == _NAMES[_UNSIGNED] and bits == 8
    return "" if is_known else f"{samples} channel(s) of {bits}-bit {name}"


def own_depth(opened: Image.Image) -> int:
    """The largest value that the file of a picture can hold, of whole numbers of up to 16 bits.

    Pillow brings those of PGM and JPEG 2000 to 16 bits. 0 is of other files, and of 8 bits.
    """
    if not is_deep(opened):
        return 0
    if opened.format != "TIFF":
        return 65535
    tags = getattr(opened, "tag_v2", {})
    bits = max(tags.get(_BITS, (1,)))
    whole = next(iter(tags.get(_SAMPLE_FORMAT, (_UNSIGNED,)))) == _UNSIGNED
    return 2**bits - 1 if whole and bits <= 16 else 0


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
    other = _second(opened)
    other.seek(opened.tell())
    _set_raw_mode(other, _SWAPPED[raw_mode])
    low = turned(other)
    if raw_mode.startswith(_PREMULTIPLIED):
        _set_raw_mode(opened, raw_mode.upper())
    image = turned(opened)
    image.info |= {_LOW: low, _PREMULTIPLIED: raw_mode.startswith(_PREMULTIPLIED)}
    return image


def close_second(opened: Image.Image) -> None:
    """Closes what `with_low_bytes` opened beside a file."""
    if other := opened.__dict__.pop(_SECOND, None):
        other.close()


def _second(opened: Image.Image) -> Image.Image:
    """The same file, opened once more and kept: each opening goes through all pages before."""
    if _SECOND not in opened.__dict__:
        setattr(opened, _SECOND, Image.open(getattr(opened, "filename", "")))
    other: Image.Image = getattr(opened, _SECOND)
    return other


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
        low = np.asarray(image.info[_LOW]).reshape(*bands.shape[:2], -1)
        colours = 1 if image.mode == "LA" else 3
        values = bands[..., :colours].astype(np.uint16) << 8 | low[..., :colours]
        values = values[..., 0] if colours == 1 else values
        if image.info.get(_PREMULTIPLIED):
            values = values * 65535.0 / np.maximum(bands[..., 3:] * 256.0 + low[..., 3:], 1)
    else:
        values = bands
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
