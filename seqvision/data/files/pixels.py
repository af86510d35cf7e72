"""Pixels of images and clips, brought into one mode and one size."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

# The frames of a clip, or an image as one frame.
HostFrames = UInt8[np.ndarray, "T _ _ _"]


def in_mode(images: Sequence[Image.Image], mode: str) -> list[Image.Image]:
    """Brings an image, or the frames of a clip, to `L` or `RGB`.

    Deep ones are scaled to 8 bits, transparent ones laid on white (on black where their ink is
    light): all frames by one scale and on one paper, so that none flickers.
    """
    return [image.convert(mode) for image in _on_paper(_shallow(images))]


def _shallow(images: Sequence[Image.Image]) -> list[Image.Image]:
    # Pillow would clip these to 255, not scale them: 0-1, 8, 12 or 16 bits.
    values = {
        number: np.nan_to_num(np.asarray(image, np.float64))
        for number, image in enumerate(images)
        if image.mode.startswith("I") or image.mode == "F"
    }
    largest = max((array.max() for array in values.values()), default=0.0)
    full = next((f for f in (1.0, 255.0, 4095.0) if largest <= f), 65535.0)
    shallow = list(images)
    for number, array in values.items():
        scaled = np.clip(array * 255 / full, 0, 255).round().astype(np.uint8)
        shallow[number] = Image.fromarray(scaled)
    return shallow


def _on_paper(images: list[Image.Image]) -> list[Image.Image]:
    if not any(image.has_transparency_data for image in images):
        return images
    inked = [image.convert("RGBA") for image in images]
    light = total = 0.0
    for image in inked:
        grey, alpha = np.asarray(image.convert("L"), np.float64), np.asarray(image)[..., 3]
        light += (grey * alpha).sum()
        total += alpha.sum(dtype=np.float64)
    colour = "black" if light > 127.5 * total else "white"
    return [Image.alpha_composite(Image.new("RGBA", i.size, colour), i) for i in inked]


def without_colour(frames: HostFrames) -> HostFrames:
    """Frames of three equal channels as one channel; others as they are."""
    if frames.shape[-1] == 3 and (frames == frames[..., :1]).all():
        return frames[..., :1]
    return frames


def fit(frames: HostFrames, height: int, width: int, channels: int) -> HostFrames:
    """Brings an image or a clip to the size and the channels that a network reads.

    Training and prediction both use it. Proportions are kept; the rest is filled with the
    brightness (the colour) of the frames' own border. What fits already comes back as it is.

    Args:
      frames: uint8 (T, h, w, 1 or 3).

    Returns:
      uint8 (T, height, width, channels).
    """
    if frames.shape[1:] == (height, width, channels):
        return frames
    if frames.shape[-1] != channels:
        frames = np.repeat(frames, 3, axis=-1) if channels == 3 else _as_grey(frames)
    if frames.shape[1:3] == (height, width):
        return frames
    # Where proportions are the same there is no border to fill, and no need to look at it.
    fills = frames.shape[1] * width != frames.shape[2] * height
    fill = tuple(np.median(border(frames), axis=(0, 1)).astype(int).tolist()) if fills else (0,) * 3
    fitted = np.empty((len(frames), height, width, channels), np.uint8)
    for source, target in zip(frames, fitted, strict=True):
        image = Image.fromarray(source if channels == 3 else source[..., 0])
        colour = fill if channels == 3 else fill[0]
        image = (
            ImageOps.pad(image, (width, height), Image.Resampling.LANCZOS, color=colour)
            if fills
            else image.resize((width, height), Image.Resampling.LANCZOS)
        )
        target[:] = np.asarray(image).reshape(target.shape)
    return fitted


def _as_grey(frames: HostFrames) -> HostFrames:
    return np.stack([np.asarray(Image.fromarray(frame).convert("L")) for frame in frames])[
        ..., None
    ]


def border(images: np.ndarray) -> np.ndarray:
    """The outermost pixels of images (B, height, width, ...), as (B, pixels, ...)."""
    return np.concatenate(
        [images[:, 0], images[:, -1], images[:, 1:-1, 0], images[:, 1:-1, -1]], axis=1
    )
