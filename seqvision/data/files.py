"""The user's own image files, brought into the form that a network was trained on."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

INVERSIONS = ("auto", "always", "never")
_DARK, _LIGHT = 64, 192
_LEAST_CONTRAST = 16


class UnreadableImageError(Exception):
    """The file is missing or no image; the message says which and why."""


def read_image(
    path: Path, shape: tuple[int, ...], background: str, invert: str = "auto"
) -> np.ndarray:
    """Reads a PNG, JPEG or any other image that Pillow knows.

    It is turned as its camera says, laid on white (on black where its ink is light) where
    transparent, made grey or RGB, inverted where asked, scaled into `shape` with its proportions
    kept, and centred on its own border brightness. Where the training images have a dark or a
    light background, its paper is brought to that black or white and its ink to the other end.

    Args:
      path: the file.
      shape: height, width and channels (1 or 3) of the result.
      background: that of the training images: `dark`, `light` or `mixed`.
      invert: `always`, `never`, or `auto`: where its border is light and that of the training
        images dark, or the other way round.

    Returns:
      uint8 of `shape`. A file of just that size and kind comes back as it is.

    Raises:
      UnreadableImageError: the file cannot be read, is no whole image, or shows paper only.
    """
    height, width, channels = shape
    try:
        with Image.open(path) as opened:
            image = _in_mode(ImageOps.exif_transpose(opened), "L" if channels == 1 else "RGB")
    except Exception as error:  # A damaged file makes Pillow raise almost anything.
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UnreadableImageError(reason or type(error).__name__) from error
    brightness = float(np.median(border(np.asarray(image)[None])))
    opposite = (background == "dark" and brightness > 127.5) or (
        background == "light" and brightness < 127.5
    )
    if invert == "always" or (invert == "auto" and opposite):
        image = ImageOps.invert(image)
    if background != "mixed" and invert != "never":
        image = _with_full_contrast(image, light=background == "light")
    if image.size != (width, height):
        fill = tuple(
            int(v)
            for v in np.median(
                border(np.asarray(image).reshape(1, image.height, image.width, channels)),
                axis=(0, 1),
            )
        )
        image = ImageOps.pad(
            image,
            (width, height),
            Image.Resampling.LANCZOS,
            color=fill if channels == 3 else fill[0],
        )
    return np.asarray(image, np.uint8).reshape(shape)


def _with_full_contrast(image: Image.Image, light: bool) -> Image.Image:
    """Paper to 0 and ink to 255 (the other way round for `light`); clean images are left alone."""
    values = np.asarray(ImageOps.invert(image) if light else image, np.float64)
    edge = border(values[None])
    paper = np.median(edge)
    # Three standard deviations of the paper's grain, from its median absolute deviation.
    paper += 3 * 1.4826 * np.median(np.abs(edge - paper))
    ink = values.max()
    if ink - paper < _LEAST_CONTRAST:
        raise UnreadableImageError("it is blank: no ink stands out from its border")
    if paper == 0 and ink > 127.5:
        return image
    stretched = ((values - paper) * 255 / (ink - paper)).clip(0, 255).round().astype(np.uint8)
    result = Image.fromarray(stretched)
    return ImageOps.invert(result) if light else result


def border(images: np.ndarray) -> np.ndarray:
    """The outermost pixels of images (B, height, width, ...), as (B, pixels, ...)."""
    return np.concatenate(
        [images[:, 0], images[:, -1], images[:, 1:-1, 0], images[:, 1:-1, -1]], axis=1
    )


def background_of(images: np.ndarray) -> str:
    """How the borders of a set of images look: `dark`, `light` or `mixed`.

    Dark or light where nine in ten border pixels of the first thousand images are.
    """
    pixels = border(images[:1000])
    if np.quantile(pixels, 0.9) < _DARK:
        return "dark"
    return "light" if np.quantile(pixels, 0.1) > _LIGHT else "mixed"


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        # Pillow would clip these to 255, not scale them: 0-1, 8, 12 or 16 bits.
        values = np.asarray(image, np.float64)
        full = next((f for f in (1.0, 255.0, 4095.0) if values.max() <= f), 65535.0)
        image = Image.fromarray(np.clip(values * 255 / full, 0, 255).round().astype(np.uint8))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        grey, alpha = np.asarray(rgba.convert("L"), np.float64), np.asarray(rgba)[..., 3]
        ink_is_light = (grey * alpha).sum() > 127.5 * alpha.sum()
        paper = Image.new("RGBA", image.size, "black" if ink_is_light else "white")
        image = Image.alpha_composite(paper, rgba)
    return image.convert(mode)
