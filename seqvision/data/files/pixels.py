"""Pixels of images and clips, brought into one mode and one size."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from seqvision.data.files.content import Content
from seqvision.data.files.deep import DeepPixels, deep_pixels, is_deep, with_low_bytes
from seqvision.data.files.doubts import Doubts
from seqvision.data.files.opening import UnreadableImageError
from seqvision.data.files.physical_values import is_inverted, kind_of_values
from seqvision.data.files.tones import FILE_BY_FILE, Range, Tones, in_channels, range_of_file

# The frames of a clip, or an image as one frame.
HostFrames = UInt8[np.ndarray, "T _ _ _"]


def in_mode(
    images: Sequence[Image.Image],
    mode: str,
    tones: Tones = FILE_BY_FILE,
    doubts: Doubts | None = None,
    content: Content | None = None,
) -> list[Image.Image]:
    """Brings an image, or the frames of a clip, to `L` or `RGB`.

    Deep ones are scaled to 8 bits, transparent ones laid on paper, as `tones` has it. What it
    leaves open is decided for all frames together, so that none flickers: the depth by their
    largest value (16 bits where they have colours or opacity), the paper white, or black where
    their ink is light. `doubts` is told where most of their values lie outside the range of
    `tones`, `content` what they are before all that.

    Raises:
      UnreadableImageError: no value of any of them is finite.
    """
    # Pillow would clip these to 255, not scale them.
    deep = {number: deep_pixels(image) for number, image in enumerate(images) if is_deep(image)}
    shallow = _shallow(images, deep, tones, doubts)
    if content and deep:
        content.add(images, deep)
    elif content and tones.paper and any(image.has_transparency_data for image in images):
        content.on_own_paper = [image.convert(mode) for image in _on_paper(shallow, "")]
    return [image.convert(mode) for image in _on_paper(shallow, tones.paper)]


def upright(opened: Image.Image) -> Image.Image:
    """A copy of an image, turned by its EXIF orientation."""
    return with_low_bytes(opened, ImageOps.exif_transpose)


def frame_of(opened: Image.Image) -> Image.Image:
    """A copy of the current frame."""
    return with_low_bytes(opened, lambda frame: frame.copy())


def ink(images: Sequence[Image.Image]) -> tuple[float, float]:
    """What is seen of images: the sum of brightness times opacity, and that of opacity."""
    light = total = 0.0
    for image in images:
        grey, alpha = image.convert("LA").split()
        opacity = np.asarray(alpha, np.float64)
        light += float((np.asarray(grey, np.float64) * opacity).sum())
        total += float(opacity.sum())
    return light, total


def paper_for(light: float, total: float) -> str:
    """Black under light ink, white under dark ink; see `ink`."""
    return "black" if light > 127.5 * total else "white"


def _shallow(
    images: Sequence[Image.Image],
    deep: dict[int, DeepPixels],
    tones: Tones,
    doubts: Doubts | None,
) -> list[Image.Image]:
    if 0 < len(deep) == len(images) and not any(
        np.isfinite(pixels.values).any() for pixels in deep.values()
    ):
        raise UnreadableImageError("it has no finite value: all are NaN or infinite, or padding")
    ranges = tones.ranges
    if not ranges:
        largest = float(max((pixels.seen.max(initial=0) for pixels in deep.values()), default=0))
        # Of colours and opacity, only their higher bytes were read once.
        grey = all(pixels.is_grey for pixels in deep.values())
        ranges = (range_of_file(largest) if grey else (0.0, 65535.0),)
    elif doubts and deep:
        doubts.of_values(list(deep.values()), ranges)
        doubts.of_kind({kind for image in images if (kind := kind_of_values(image))}, tones.kinds)
    elif doubts:
        doubts.of_8_bits(ranges[0])
    shallow = list(images)
    for number, pixels in deep.items():
        shallow[number] = _scaled(pixels, ranges, is_inverted(images[number]))
    return shallow


def _scaled(pixels: DeepPixels, ranges: Sequence[Range], inverted: bool) -> Image.Image:
    """A deep picture with 8 bits a value: of a grey one and three ranges, in three channels."""
    if len(ranges) > 1 and pixels.values.ndim == 3:
        raise UnreadableImageError(
            "it has colours of more than 8 bits, and the three ranges of config.data.value_range"
            " are for grey ones; name one range, or save it in grey"
        )
    channels = in_channels(np.atleast_3d(pixels.values), ranges)
    channels = 255 - channels if inverted else channels
    image = Image.fromarray(channels if channels.shape[-1] > 1 else channels[..., 0])
    if pixels.opacity is not None:
        image.putalpha(Image.fromarray(pixels.opacity))
    return image


def _on_paper(images: list[Image.Image], paper: str) -> list[Image.Image]:
    if not any(image.has_transparency_data for image in images):
        return images
    inked = [image.convert("RGBA") for image in images]
    paper = paper or paper_for(*ink(inked))
    return [Image.alpha_composite(Image.new("RGBA", i.size, paper), i) for i in inked]


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


def median(values: np.ndarray) -> float:
    """`np.median` of an array of any shape; of one as small as a border in a fifth of the time."""
    ordered = np.sort(values, axis=None)
    middle = len(ordered) // 2
    return float(ordered[middle - (len(ordered) % 2 == 0)]) / 2 + float(ordered[middle]) / 2
