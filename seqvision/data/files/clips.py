"""Frames of the user's clips: folders of images, animations, videos, series and volumes."""

from pathlib import Path

import numpy as np
from PIL import Image

from seqvision.data.files.content import Content
from seqvision.data.files.deep import is_deep
from seqvision.data.files.doubts import Doubts
from seqvision.data.files.headers import has_frames, header_of
from seqvision.data.files.opening import UnreadableImageError, opened_image, reading
from seqvision.data.files.paths import shown, visible
from seqvision.data.files.pixels import HostFrames, fit, frame_of, in_mode, upright, without_colour
from seqvision.data.files.stacks import check_stack
from seqvision.data.files.tones import FILE_BY_FILE, Tones
from seqvision.data.files.videos import VIDEO_SUFFIXES, check_sizes, video_frames
from seqvision.data.files.volumes import (
    in_series_order,
    is_frame,
    is_volume,
    volume_header,
    volume_pictures,
)

# Files of these kinds may hold one image or several: they are opened to see.
_PERHAPS_ANIMATED = {".png", ".apng", ".webp", ".tif", ".tiff", ".avif"}
IMAGE_SUFFIXES = _PERHAPS_ANIMATED | {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".pgm", ".ppm", ".pbm", ".pnm", ".jp2", ".heic",
    ".heif",
}  # fmt: skip
CLIP_SUFFIXES = VIDEO_SUFFIXES | {".gif"}
_GREY_MODES = {"1", "L", "LA", "La", "I", "F"}  # Pillow's; 16 bits are "I;16".


def kind_of(path: Path) -> str:
    """What a file or a folder of frames is: `image` or `clip`.

    "" is a file that cannot be opened, or a GIF of one frame: an image or a clip, as one likes.
    """
    suffix = path.suffix.lower()
    if path.is_dir():
        return "clip"
    if suffix in VIDEO_SUFFIXES:  # A picture stays one under such a name.
        header = header_of(path)
        return "image" if header and header.is_animated is False else "clip"
    if suffix in IMAGE_SUFFIXES - _PERHAPS_ANIMATED:
        return "image"
    header = header_of(path)
    if header is None or header.is_animated is None:
        return ""
    still = "" if suffix == ".gif" else "image"
    return "clip" if header.is_animated else still


def size_in_header(path: Path) -> tuple[int, int] | None:
    """Width and height of an image file; None where it cannot be opened."""
    try:
        if is_volume(path):
            header = volume_header(path)
            return header.width, header.height
        with opened_image(path) as opened:
            return opened.size
    except UnreadableImageError:
        return None


def is_animated(path: Path) -> bool:
    """True for an image file (GIF, PNG, WebP, TIFF, AVIF, DICOM, ...) of several frames.

    Raises:
      UnreadableImageError: it cannot be opened, or is a stack of several axes.
    """
    if is_volume(path):
        return volume_header(path).num_frames > 1
    with opened_image(path) as opened:
        check_stack(opened)
        return has_frames(opened)


def frame_files(folder: Path) -> list[Path]:
    """The images that are the frames of a clip, in natural order; none where it is no clip."""
    return [
        path
        for path in visible(folder)
        if path.suffix.lower() in IMAGE_SUFFIXES or (is_volume(path) and is_frame(path))
    ]


def read_frames(
    path: Path,
    size: tuple[int, int] = (0, 0),
    tones: Tones = FILE_BY_FILE,
    doubts: Doubts | None = None,
    content: Content | None = None,
) -> HostFrames:
    """Reads an image, or all frames of a clip, in their own size.

    Args:
      path: an image file, a GIF (or an animated PNG, WebP, TIFF, AVIF), a video, a DICOM, NIfTI or
        `.npy` file, or a folder of images.
      size: height and width that they are going to have, 0 where that is open. A video too large
        for memory is scaled to fit into it while it is decoded.
      tones: those of the set, for deep and transparent pictures.
      doubts, content: are told what is doubtful, and what it holds before its tones are applied;
        see `pixels.in_mode`.

    Returns:
      uint8 (T, height, width, channels): one channel where all is grey, else three. An image is
      one frame.

    Raises:
      UnreadableImageError: it is missing, damaged, cut short, has no frames, or frames of
        different sizes.
      UserError: it is a video, and PyAV is not installed.
    """
    if path.suffix.lower() in VIDEO_SUFFIXES and not path.is_dir():
        return without_colour(video_frames(path, *size, tones, doubts, content))
    with reading():
        images = _folder_frames(path) if path.is_dir() else _file_frames(path)
        sizes = [(image.height, image.width) for image in images]
        check_sizes(sizes)
        grey = all(image.mode.split(";")[0] in _GREY_MODES for image in images)
        grey = grey and not (tones.more_ranges and any(map(is_deep, images)))
        images = in_mode(images, "L" if grey else "RGB", tones, doubts, content)
        frames = np.stack([np.asarray(image) for image in images])
        return frames[..., None] if grey else without_colour(frames)


def read_clip(
    path: Path,
    input_shape: tuple[int, ...],
    tones: Tones = FILE_BY_FILE,
    doubts: Doubts | None = None,
) -> HostFrames:
    """Reads a clip as training does.

    Args:
      path, tones, doubts: see `read_frames`.
      input_shape: ends in the height, width and channels that the network reads.

    Returns:
      uint8 (t, height, width, channels), as many frames as the clip has.

    Raises:
      UnreadableImageError, UserError: see `read_frames`.
    """
    height, width, channels = input_shape[-3:]
    frames = read_frames(path, (height, width), tones, doubts)
    if doubts:
        doubts.of_levels(frames)
    return fit(frames, height, width, channels)


def _folder_frames(folder: Path) -> list[Image.Image]:
    paths = frame_files(folder)
    if not paths:
        raise UnreadableImageError("a clip with no frames: no images lie in this folder")
    images = []
    for path in in_series_order(paths):
        try:
            if is_volume(path):
                images += _only_picture(path)
                continue
            with opened_image(path) as opened:
                check_stack(opened)
                if has_frames(opened):
                    raise UnreadableImageError("a clip itself; a frame is one image")
                images.append(upright(opened))
        except UnreadableImageError as error:
            raise UnreadableImageError(f"its frame {shown(path.name)}: {error}") from error
    return images


def _only_picture(path: Path) -> list[Image.Image]:
    pictures = volume_pictures(path)
    if len(pictures) > 1:
        raise UnreadableImageError("a clip itself; a frame is one image")
    return pictures


def _file_frames(path: Path) -> list[Image.Image]:
    if is_volume(path):
        return volume_pictures(path)
    with opened_image(path) as opened:
        check_stack(opened)
        if not has_frames(opened):
            return [upright(opened)]
        if opened.format == "GIF" and not _has_gif_end(path):
            raise UnreadableImageError("it is cut short: a GIF's last byte is missing")
        # The first image of some animated PNGs is only for programs that show stills.
        first = 1 if getattr(opened, "default_image", False) else 0
        images = []
        for number in range(first, getattr(opened, "n_frames", 1)):
            opened.seek(number)
            images.append(frame_of(opened))
        return images


def _has_gif_end(path: Path) -> bool:
    # Pillow takes a GIF that ends between two frames for a whole one.
    return path.read_bytes().rstrip(b"\0\r\n").endswith(b";")
