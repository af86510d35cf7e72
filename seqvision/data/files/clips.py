"""Frames of the user's clips: folders of images, animations, videos."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from seqvision.data.files.images import UnreadableImageError, reading
from seqvision.data.files.paths import shown, visible
from seqvision.data.files.pixels import HostFrames, fit, in_mode, without_colour
from seqvision.errors import UserError
from seqvision.runtime.regular_file import regular

# Files of these kinds may hold one image or several: they are opened to see.
_PERHAPS_ANIMATED = {".png", ".apng", ".webp", ".tif", ".tiff"}
IMAGE_SUFFIXES = _PERHAPS_ANIMATED | {
    ".jpg", ".jpeg", ".bmp", ".pgm", ".ppm", ".pbm", ".pnm", ".jp2",
}  # fmt: skip
# A video is decoded whole before it is scaled: this much and as much again.
_MOST_BYTES = 2**31

VIDEO_SUFFIXES = {".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v"}
CLIP_SUFFIXES = VIDEO_SUFFIXES | {".gif"}
_GREY_MODES = {"1", "L", "LA", "La", "I", "F"}  # Pillow's; 16 bits are "I;16".
# Other formats keep a preview, not a next frame, in their second image.
_ANIMATED_FORMATS = {"GIF", "PNG", "WEBP", "TIFF"}


def kind_of(path: Path) -> str:
    """What a file or a folder of frames is: `image`, `clip`, or "" where it cannot be opened."""
    suffix = path.suffix.lower()
    if suffix in CLIP_SUFFIXES or path.is_dir():
        return "clip"
    if suffix in IMAGE_SUFFIXES - _PERHAPS_ANIMATED:
        return "image"
    try:
        return "clip" if is_animated(path) else "image"
    except UnreadableImageError:
        return ""


def is_animated(path: Path) -> bool:
    """True for an image file (GIF, PNG, WebP, TIFF) of several frames.

    Raises:
      UnreadableImageError: it cannot be opened.
    """
    with reading(), Image.open(regular(path)) as opened:
        return _has_frames(opened)


def frame_files(folder: Path) -> list[Path]:
    """The images that are the frames of a clip, in natural order; none where it is no clip."""
    return [path for path in visible(folder) if path.suffix.lower() in IMAGE_SUFFIXES]


def read_frames(path: Path) -> HostFrames:
    """Reads an image, or all frames of a clip, in their own size.

    Args:
      path: an image file, a GIF (or an animated PNG, WebP, TIFF), a video, or a folder of images.

    Returns:
      uint8 (T, height, width, channels): one channel where all is grey, else three. An image is
      one frame.

    Raises:
      UnreadableImageError: it is missing, damaged, cut short, has no frames, or frames of
        different sizes.
      UserError: it is a video, and PyAV is not installed.
    """
    if path.suffix.lower() in VIDEO_SUFFIXES and not path.is_dir():
        return without_colour(_video_frames(path))
    with reading():
        images = _folder_frames(path) if path.is_dir() else _file_frames(path)
        sizes = [(image.height, image.width) for image in images]
        _check_sizes(sizes)
        grey = all(image.mode.split(";")[0] in _GREY_MODES for image in images)
        frames = np.stack([np.asarray(i) for i in in_mode(images, "L" if grey else "RGB")])
        return frames[..., None] if grey else without_colour(frames)


def read_clip(path: Path, input_shape: tuple[int, ...]) -> HostFrames:
    """Reads a clip as training does.

    Args:
      path: see `read_frames`.
      input_shape: ends in the height, width and channels that the network reads.

    Returns:
      uint8 (t, height, width, channels), as many frames as the clip has.

    Raises:
      UnreadableImageError, UserError: see `read_frames`.
    """
    height, width, channels = input_shape[-3:]
    return fit(read_frames(path), height, width, channels)


def _folder_frames(folder: Path) -> list[Image.Image]:
    paths = frame_files(folder)
    if not paths:
        raise UnreadableImageError("a clip with no frames: no images lie in this folder")
    images = []
    for path in paths:
        try:
            with reading(), Image.open(regular(path)) as opened:
                images.append(ImageOps.exif_transpose(opened))
        except UnreadableImageError as error:
            raise UnreadableImageError(f"its frame {shown(path.name)}: {error}") from error
    return images


def _file_frames(path: Path) -> list[Image.Image]:
    with Image.open(regular(path)) as opened:
        if not _has_frames(opened):
            return [ImageOps.exif_transpose(opened)]
        if opened.format == "GIF" and not _has_gif_end(path):
            raise UnreadableImageError("it is cut short: a GIF's last byte is missing")
        # The first image of some animated PNGs is only for programs that show stills.
        first = 1 if getattr(opened, "default_image", False) else 0
        images = []
        for number in range(first, getattr(opened, "n_frames", 1)):
            opened.seek(number)
            images.append(opened.copy())
        return images


def _has_frames(opened: Image.Image) -> bool:
    return opened.format in _ANIMATED_FORMATS and getattr(opened, "is_animated", False)


def _has_gif_end(path: Path) -> bool:
    # Pillow takes a GIF that ends between two frames for a whole one.
    return path.read_bytes().rstrip(b"\0\r\n").endswith(b";")


def _check_sizes(sizes: list[tuple[int, int]]) -> None:
    for number, size in enumerate(sizes):
        if size != sizes[0]:
            raise UnreadableImageError(
                f"its frames differ in size: frame 1 is {sizes[0][0]} x {sizes[0][1]}, frame"
                f" {number + 1} is {size[0]} x {size[1]} (height x width)"
            )


def _video_frames(path: Path) -> HostFrames:
    try:
        import av
    except ImportError as error:
        raise UserError(
            f"{shown(path)}: reading videos needs PyAV: pip install 'seqvision[video]', then run"
            " again"
        ) from error
    with reading(), av.open(str(regular(path))) as container:
        if not container.streams.video:
            raise UnreadableImageError("no video in it")
        frames: list[np.ndarray] = []
        for frame in _decoded(container):
            frames.append(frame)
            if len(frames) * frame.nbytes > _MOST_BYTES:
                raise UnreadableImageError(
                    f"longer than {_MOST_BYTES / 2**30:g} GiB of frames of {frame.shape[0]} x"
                    f" {frame.shape[1]} (height x width); cut it, or make it smaller"
                )
        if not frames:
            raise UnreadableImageError("a clip with no frames")
        _check_sizes([frame.shape[:2] for frame in frames])
        return np.stack(frames)


def _decoded(container: Any) -> Iterator[np.ndarray]:
    """The frames of the first video stream, upright, as RGB.

    Raises:
      UnreadableImageError: the file ends before its video does.
    """
    stream = container.streams.video[0]
    start = end = None
    for packet in container.demux(stream):
        if packet.is_corrupt:
            raise UnreadableImageError("it is damaged or cut short")
        for frame in packet.decode():
            if frame.time is not None:
                start = frame.time if start is None else start
                end = frame.time
            # Counter-clockwise degrees, from the phone that was held upright.
            yield np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))
    announced = None
    if stream.duration is not None:
        announced = float(stream.duration * stream.time_base)
    elif container.duration is not None and len(container.streams) == 1:
        announced = container.duration / 1e6  # In microseconds.
    if announced is None or end is None or not stream.average_rate:
        return
    # Containers round and leave out the last frame's own duration: two frames of grace.
    if announced - (end - start) > max(3 / float(stream.average_rate), 0.05 * announced):
        raise UnreadableImageError(
            f"it is cut short: {end - start:.2f} of {announced:.2f} seconds can be decoded"
        )
