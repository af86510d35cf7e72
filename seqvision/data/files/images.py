"""The user's own image files, brought into the form that a network was trained on."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from seqvision.config.data_schema import INVERSIONS
from seqvision.data.files.doubts import Doubts
from seqvision.data.files.headers import has_frames
from seqvision.data.files.opening import UnreadableImageError, opened_image
from seqvision.data.files.paper_light import levelled
from seqvision.data.files.pixels import border, fit, in_mode, median, upright
from seqvision.data.files.stacks import check_stack
from seqvision.data.files.tones import FILE_BY_FILE, Tones
from seqvision.data.files.volumes import is_volume, volume_header, volume_pictures
from seqvision.errors import UserError, did_you_mean

HostImage = UInt8[np.ndarray, "_ _ _"]

A_CLIP = "a clip; this run reads single images"
_DARK, _LIGHT = 64, 192
_LEAST_CONTRAST = 16


def check_inversion(invert: str) -> None:
    """Raises UserError where `--invert` is none of INVERSIONS."""
    if invert not in INVERSIONS:
        raise UserError(
            f"--invert: '{invert}' is not known; choose one of {', '.join(INVERSIONS)}"
            f"{did_you_mean(invert, INVERSIONS)}"
        )


def read_image(
    path: Path,
    shape: tuple[int, ...],
    background: str,
    invert: str = "auto",
    tones: Tones = FILE_BY_FILE,
    doubts: Doubts | None = None,
) -> np.ndarray:
    """Reads a PNG, JPEG or any other image that Pillow reads.

    It is read by `read_unscaled`, scaled into `shape` with its proportions kept, and centred
    on its own border brightness.

    Args:
      path: the file.
      shape: height, width and channels (1 or 3) of the result.
      background, invert, tones, doubts: see `read_unscaled`.

    Returns:
      uint8 of `shape`. A file of just that size and kind comes back as it is.

    Raises:
      UnreadableImageError: the file cannot be read, is no whole image, or shows paper only; or it
        is a clip.
    """
    height, width, channels = shape
    pixels = read_unscaled(path, channels, background, invert, tones, doubts)
    return fit(pixels[None], height, width, channels)[0]


def read_unscaled(
    path: Path,
    channels: int,
    background: str,
    invert: str = "auto",
    tones: Tones = FILE_BY_FILE,
    doubts: Doubts | None = None,
) -> HostImage:
    """Reads an image in its own size.

    It is turned upright by its EXIF orientation, laid on white (on black where its ink is light)
    where transparent, made grey or RGB, and inverted where asked. Where the training images have a
    dark or a light background, its paper is brought into even light, then to that black or white
    and its ink to the other end.

    Args:
      path: the file.
      channels: 1 or 3.
      background: that of the training images: `dark`, `light` or `mixed`.
      invert: `always`, `never`, or `auto`: where its border is light and that of the training
        images dark, or the other way round.
      tones: those of the training images.
      doubts: is told what is doubtful about the image.

    Returns:
      uint8 (height, width, channels).

    Raises:
      UnreadableImageError: the file cannot be read, is no whole image, or shows paper only; or it
        is a clip.
    """
    image = read_upright(path, channels, tones, doubts, may_be_clip=False)
    is_scan = background != "mixed" and invert != "never" and channels == 1
    pixels = toned(levelled(image) if is_scan else image, background, invert)
    if doubts:
        doubts.of_shape(pixels)
        doubts.of_levels(pixels)
    if doubts and is_scan:
        doubts.of_rows(pixels if background == "dark" else 255 - pixels)
    return pixels


def read_upright(
    path: Path,
    channels: int,
    tones: Tones = FILE_BY_FILE,
    doubts: Doubts | None = None,
    may_be_clip: bool = True,
) -> Image.Image:
    """Reads an image, turned upright and made grey or RGB; see `read_unscaled`.

    Of a GIF or another picture file of several frames it reads the first, or refuses it.
    """
    if is_volume(path):
        if not may_be_clip and volume_header(path).num_frames > 1:
            raise UnreadableImageError(A_CLIP)
        [image] = in_mode(
            _one_of(volume_pictures(path)), "L" if channels == 1 else "RGB", tones, doubts
        )
        return image
    with opened_image(path) as opened:
        if not may_be_clip:
            check_stack(opened)
            if has_frames(opened):
                raise UnreadableImageError(A_CLIP)
        [image] = in_mode([upright(opened)], "L" if channels == 1 else "RGB", tones, doubts)
    return image


def _one_of(pictures: list[Image.Image]) -> list[Image.Image]:
    if len(pictures) > 1:
        raise UnreadableImageError(f"a clip of {len(pictures)} frames; one image is read")
    return pictures


def toned(image: Image.Image, background: str, invert: str = "auto") -> HostImage:
    """Ink and paper of an image as those of the training images; see `read_unscaled`."""
    pixels = np.asarray(image, np.uint8).reshape(image.height, image.width, -1)
    brightness = median(border(pixels[None]))
    opposite = (background == "dark" and brightness > 127.5) or (
        background == "light" and brightness < 127.5
    )
    if invert == "always" or (invert == "auto" and opposite):
        pixels = 255 - pixels
    if background != "mixed" and invert != "never":
        pixels = _with_full_contrast(pixels, light=background == "light")
    if background != "mixed" and (pixels == pixels[0, 0]).all():
        raise UnreadableImageError("it is blank: all its pixels are alike")
    return pixels


def _with_full_contrast(pixels: HostImage, light: bool) -> HostImage:
    """Paper to 0 and ink to 255 (the other way round for `light`); clean images are left alone."""
    values = 255 - pixels if light else pixels
    edge = border(values[None])
    paper = median(edge)
    # Three standard deviations of the paper's grain, from its median absolute deviation.
    paper += 3 * 1.4826 * median(np.abs(edge - paper))
    ink = float(values.max())
    if ink - paper < _LEAST_CONTRAST:
        raise UnreadableImageError(
            "no ink stands out from its border: it is blank, or its paper is unevenly lit"
        )
    if paper == 0 and ink > 127.5:
        return pixels
    stretched = ((values - paper) * 255 / (ink - paper)).clip(0, 255).round().astype(np.uint8)
    return 255 - stretched if light else stretched


def background_of(images: np.ndarray) -> str:
    """How the borders of a set of images look: `dark`, `light` or `mixed`.

    Dark or light where nine in ten border pixels of the first thousand images are.
    """
    pixels = border(images[:1000])
    if np.quantile(pixels, 0.9) < _DARK:
        return "dark"
    return "light" if np.quantile(pixels, 0.1) > _LIGHT else "mixed"
