"""Frames of the user's videos, decoded by PyAV: upright, with square pixels."""

import dataclasses
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from seqvision.data.files.content import Content
from seqvision.data.files.deep import deep_pixels, from_values, is_deep
from seqvision.data.files.doubts import Doubts
from seqvision.data.files.opening import (
    MOST_BYTES,
    UnreadableImageError,
    check_not_empty,
    reading,
)
from seqvision.data.files.paths import shown
from seqvision.data.files.pixels import HostFrames, in_mode
from seqvision.data.files.tones import FILE_BY_FILE, Tones
from seqvision.errors import UserError
from seqvision.runtime.regular_file import regular

VIDEO_SUFFIXES = {
    ".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts",
    ".wmv", ".asf", ".flv", ".3gp", ".ogv", ".vob",
}  # fmt: skip
# Of the pixels of all standards: no more than 4 times as wide as high, or as high as wide.
_MOST_ASPECT = 4


def video_frames(
    path: Path,
    height: int,
    width: int,
    tones: Tones = FILE_BY_FILE,
    doubts: Doubts | None = None,
    content: Content | None = None,
) -> HostFrames:
    """Reads all frames of a video.

    Those of grey, or of red, green and blue, with more than 8 bits are deep; those with an opacity
    are laid on paper: as pictures are, see `pixels.in_mode`.

    Args:
      path: the file.
      height, width: what the frames are going to be fitted into, 0 where that is open. Frames that
        are more than MOST_BYTES together are scaled to fit into it, proportions kept, one by one.

    Returns:
      uint8 (T, height, width, 3).

    Raises:
      UnreadableImageError: it is damaged, cut short, without frames, or too large to be decoded.
      UserError: PyAV is not installed.
    """
    av = _decoder_library(path)
    with reading(), _opened(av, path) as container:
        if tones.value_range is None and (depth := _depth(container)):
            tones = dataclasses.replace(tones, value_range=(0.0, float(depth)))
        frames: list[np.ndarray] = []
        is_large = False
        for frame in _decoded(container):
            frames.append(_contained(frame, height, width, tones, content) if is_large else frame)
            if len(frames) * frames[-1].nbytes <= MOST_BYTES:
                continue
            if is_large or not (height and width):
                raise UnreadableImageError(
                    f"longer than {MOST_BYTES / 2**30:g} GiB of frames of {frame.shape[0]} x"
                    f" {frame.shape[1]} (height x width); cut it, make it smaller, or set"
                    " config.data.height and config.data.width"
                )
            is_large = True
            frames = [_contained(one, height, width, tones, content) for one in frames]
        if not frames:
            raise UnreadableImageError("a clip with no frames")
        check_sizes([frame.shape[:2] for frame in frames])
        if not _is_plain(frames[0]):
            frames = _in_rgb(frames, tones, doubts, content)
        elif doubts and tones.value_range and not is_large:
            doubts.of_8_bits(tones.value_range)
        return np.stack(frames)


def special_frames(path: Path) -> Iterator[tuple[Image.Image, int]]:
    """The frames of a video of deep or transparent ones, one by one; none of others.

    Yields:
      A frame, and the largest value that the video can hold, 0 where that is not known.

    Raises:
      UnreadableImageError, UserError: see `video_frames`.
    """
    av = _decoder_library(path)
    with reading(), _opened(av, path) as container:
        depth = _depth(container)
        for frame in _decoded(container):
            if _is_plain(frame):
                return
            yield _as_image(frame), depth


def _depth(container: Any) -> int:
    """The largest value in a video of grey or RGB of 9 to 16 bits; else 0."""
    pixels = container.streams.video[0].format
    parts = pixels.components if pixels else ()
    is_read = pixels and (pixels.is_rgb or all(part.is_luma or part.is_alpha for part in parts))
    bits = max((part.bits for part in parts), default=0)
    return 2**bits - 1 if is_read and 8 < bits <= 16 else 0


def _decoder_library(path: Path) -> Any:
    try:
        import av
    except ImportError as error:
        raise UserError(
            f"{shown(path)}: reading videos needs PyAV: pip install 'seqvision[video]', then run"
            " again"
        ) from error
    return av


def _opened(av: Any, path: Path) -> Any:
    check_not_empty(path)
    try:
        container = av.open(str(regular(path)))
    except av.error.InvalidDataError as error:
        raise UnreadableImageError("it is no video, or a damaged one") from error
    if not container.streams.video:
        container.close()
        raise UnreadableImageError("no video in it")
    return container


def check_sizes(sizes: Sequence[tuple[int, ...]]) -> None:
    """Raises UnreadableImageError where frames of (height, width) differ in size."""
    for number, size in enumerate(sizes):
        if size != sizes[0]:
            raise UnreadableImageError(
                f"its frames differ in size: frame 1 is {sizes[0][0]} x {sizes[0][1]}, frame"
                f" {number + 1} is {size[0]} x {size[1]} (height x width)"
            )


def _is_plain(frame: np.ndarray) -> bool:
    return frame.dtype == np.uint8 and frame.shape[2:] == (3,)


def _as_image(frame: np.ndarray) -> Image.Image:
    return Image.fromarray(frame) if frame.dtype == np.uint8 else from_values(frame)


def _in_rgb(
    frames: list[np.ndarray],
    tones: Tones,
    doubts: Doubts | None = None,
    content: Content | None = None,
) -> list[np.ndarray]:
    images = in_mode([_as_image(frame) for frame in frames], "RGB", tones, doubts, content)
    return [np.asarray(image) for image in images]


def _contained(
    frame: np.ndarray, height: int, width: int, tones: Tones, content: Content | None
) -> np.ndarray:
    """The frame as RGB, scaled as `pixels.fit` does before it fills the borders."""
    if not _is_plain(frame):
        if content:
            image = _as_image(frame)
            content.add([image], {0: deep_pixels(image)} if is_deep(image) else {})
        [frame] = _in_rgb([frame], tones)
    scale = min(height / frame.shape[0], width / frame.shape[1])
    size = max(round(frame.shape[1] * scale), 1), max(round(frame.shape[0] * scale), 1)
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS))


def _decoded(container: Any) -> Iterator[np.ndarray]:
    """The frames of the first video stream, upright, with square pixels; see `_pixels`.

    Raises:
      UnreadableImageError: the file ends before its video does.
    """
    stream = container.streams.video[0]
    decoder = _decoder(stream)
    start = end = None
    for packet in container.demux(stream):
        if packet.is_corrupt:
            raise UnreadableImageError("it is damaged or cut short")
        if packet.pts is not None:
            # A last frame that stands is as long as its packet says.
            stop = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            end = stop if end is None else max(end, stop)
        for frame in decoder.decode(packet):
            if frame.is_corrupt:  # Filled up by the decoder.
                raise UnreadableImageError("it is damaged or cut short")
            if frame.time is not None:
                start = frame.time if start is None else start
            yield _upright(frame, stream)
    if start is None or end is None or not stream.average_rate or _is_avi(container.name):
        return
    if stream.duration is not None:
        announced, shown_for = float(stream.duration * stream.time_base), end - start
    elif container.duration is not None and len(container.streams) == 1:
        # In microseconds; from zero, also where the video starts later.
        announced, shown_for = container.duration / 1e6, max(end, end - start)
    else:
        return
    # Containers round and leave out the last frame's own duration: two frames of grace.
    if announced - shown_for > max(3 / float(stream.average_rate), 0.05 * announced):
        raise UnreadableImageError(
            f"it is cut short: {shown_for:.2f} of {announced:.2f} seconds can be decoded"
        )


def _is_avi(path: str) -> bool:
    """Whether a file is an AVI, which says itself how long the file is.

    Its last frame may stand, and FFmpeg takes the time of a cut one from what is left of it.

    Raises:
      UnreadableImageError: it is shorter than it says.
    """
    with Path(path).open("rb") as file:
        name, size = struct.unpack("<4sI", file.read(8))
        if name != b"RIFF":
            return False
        if size + 8 > (found := file.seek(0, 2)):
            raise UnreadableImageError(f"it is cut short: {found:,} of {size + 8:,} bytes")
    return True


def _decoder(stream: Any) -> Any:
    if stream.metadata.get("alpha_mode") != "1" or stream.codec.name not in ("vp8", "vp9"):
        return stream
    # FFmpeg's own decoders leave the opacity out.
    import av

    return av.CodecContext.create("libvpx-vp9" if stream.codec.name == "vp9" else "libvpx", "r")


def _pixels(frame: Any, sizes: dict[str, int]) -> np.ndarray:
    """(height, width, 3) uint8; of an opacity, 4; of deep ones, uint16 and grey (height, width)."""
    parts = frame.format.components
    has_opacity, bits = any(part.is_alpha for part in parts), max(part.bits for part in parts)
    is_grey = all(part.is_luma or part.is_alpha for part in parts) and not frame.format.is_rgb
    if bits <= 8 or not (is_grey or frame.format.is_rgb):
        return frame.to_ndarray(format="rgba" if has_opacity else "rgb24", **sizes)
    if bits > 16:
        return frame.to_ndarray(format="grayf32le" if is_grey else "rgb24", **sizes)
    if is_grey and not has_opacity:
        return frame.to_ndarray(format="gray16le", **sizes) >> (16 - bits)
    values = frame.to_ndarray(format="rgba64le" if has_opacity else "rgb48le", **sizes)
    values[..., :3] >>= 16 - bits
    return values


def _upright(frame: Any, stream: Any) -> np.ndarray:
    # Of a pixel: its width by its height.
    aspect = stream.sample_aspect_ratio or 1
    known = 1 / _MOST_ASPECT <= aspect <= _MOST_ASPECT
    width = round(frame.width * aspect) if known else frame.width
    sizes = {} if width == frame.width else {"width": max(width, 1), "height": frame.height}
    pixels = _pixels(frame, sizes)
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return pixels
    # Rows of (a, b, u), (c, d, v), (x, y, w): a pixel is shown at (a x + c y, b x + d y).
    a, b, _, c, d, *_ = np.frombuffer(bytes(matrix), np.int32).tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        pixels, right, down = pixels.swapaxes(0, 1), c, b
    else:
        right, down = a, d
    if right < 0:
        pixels = pixels[:, ::-1]
    return pixels[::-1] if down < 0 else pixels
