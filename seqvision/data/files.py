"""The user's own image files, brought into the form that a network was trained on."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

INVERSIONS = ("auto", "always", "never")
_DARK, _LIGHT = 64, 192


class UnreadableImageError(Exception):
    """The file is missing or no image; the message says which and why."""


def read_image(
    path: Path, shape: tuple[int, ...], background: str, invert: str = "auto"
) -> np.ndarray:
    """Reads a PNG, JPEG or any other image that Pillow knows.

    It is turned as its camera says, laid on white where transparent, made grey or RGB, inverted
    where asked, scaled into `shape` with its proportions kept, and centred on its own border
    brightness.

    Args:
      path: the file.
      shape: height, width and channels (1 or 3) of the result.
      background: that of the training images: `dark`, `light` or `mixed`.
      invert: `always`, `never`, or `auto`: where its border is light and that of the training
        images dark, or the other way round.

    Returns:
      uint8 of `shape`. A file of just that size and kind comes back as it is.

    Raises:
      UnreadableImageError: the file cannot be read, or is no whole image.
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
        # 16-bit and float images: Pillow would clip them, not scale them.
        values = np.asarray(image, np.float64)
        full = 65535.0 if values.max() > 255 else 255.0
        image = Image.fromarray(np.clip(values * 255 / full, 0, 255).round().astype(np.uint8))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), rgba)
    return image.convert(mode)
