"""Videos as other programs write them: late, standing, turned, mirrored, of pixels not square."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from seqvision.data.files import videos
from seqvision.data.files.clips import read_clip, read_frames
from seqvision.data.files.opening import UnreadableImageError
from seqvision.data.files.pixels import fit
from seqvision.inference.inputs import read_inputs
from tests.data.making import arrays, clips_of, folders, save_video


def timed(path: Path, times: list[int], last: int, codec: str = "mpeg4") -> Path:
    """A video of frames of growing brightness, shown from `times` (ms) on, the last for `last`."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        packets = []
        for number, time in enumerate(times):
            pixels = np.full((32, 48, 3), 20 * number % 256, np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            packets += stream.encode(frame)
        packets += stream.encode()
        packets[-1].duration = round(last / 1000 / packets[-1].time_base)
        container.mux(packets)
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".avi"])
@pytest.mark.parametrize(("start", "last"), [(0, 100), (0, 5000), (5000, 100), (3000, 4000)])
def test_late_and_standing_frames(tmp_path: Path, suffix: str, start: int, last: int) -> None:
    path = timed(tmp_path / f"x{suffix}", [start + 100 * n for n in range(10)], last)
    means = read_frames(path).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(means, [20 * n for n in range(10)], atol=4)


@pytest.mark.parametrize("last", [100, 5000])
@pytest.mark.parametrize("suffix", [".mkv", ".avi"])
def test_a_cut_video_is_still_found(tmp_path: Path, last: int, suffix: str) -> None:
    path = timed(tmp_path / f"x{suffix}", [100 * n for n in range(40)], last)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * 0.6)])
    with pytest.raises(UnreadableImageError):
        read_frames(path)


IDENTITY = (1, 0, 0, 1)
ORIENTATIONS = [IDENTITY, (-1, 0, 0, 1), (1, 0, 0, -1), (-1, 0, 0, -1),
                (0, 1, 1, 0), (0, 1, -1, 0), (0, -1, 1, 0), (0, -1, -1, 0)]  # fmt: skip


@pytest.mark.parametrize("matrix", ORIENTATIONS)
def test_all_display_matrices(tmp_path: Path, matrix: tuple[int, int, int, int]) -> None:
    """ISO 14496-12: a pixel (x, y) is shown at (a x + c y, b x + d y), moved into view."""
    picture = np.zeros((1, 32, 64, 3), np.uint8)
    picture[:, :16, :32], picture[:, :16, 32:], picture[:, 16:, :32] = 240, 160, 80
    path = save_video(tmp_path / "x.mp4", picture, "mpeg4", "yuv420p")
    plain = read_frames(path)[0, ..., 0]

    def packed(a: int, b: int, c: int, d: int) -> bytes:
        one = 1 << 16
        return struct.pack(">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)

    content = path.read_bytes()
    at = content.index(packed(*IDENTITY), content.index(b"tkhd"))
    path.write_bytes(content[:at] + packed(*matrix) + content[at + 36 :])

    a, b, c, d = matrix
    y, x = np.mgrid[: plain.shape[0], : plain.shape[1]]
    right, down = a * x + c * y, b * x + d * y
    right, down = right - right.min(), down - down.min()
    expected = np.zeros((down.max() + 1, right.max() + 1), np.uint8)
    expected[down, right] = plain
    np.testing.assert_array_equal(read_frames(path)[0, ..., 0], expected)


@pytest.mark.parametrize(
    ("aspect", "width"), [((1, 1), 48), ((16, 15), 51), ((4, 3), 64), ((1, 2), 24), ((60, 1), 48)]
)
def test_pixels_that_are_not_square(tmp_path: Path, aspect: tuple[int, int], width: int) -> None:
    """A pixel of 4:3 is a third wider than high: the picture is as wide as a player shows it."""
    with av.open(str(tmp_path / "x.mkv"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(*aspect)
        pixels = np.zeros((32, 48, 3), np.uint8)
        pixels[:, 24:] = 200
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    frames = read_frames(tmp_path / "x.mkv")
    assert frames.shape[:3] == (3, 32, width)
    assert frames[:, :, : width // 2 - 4].max() < 20
    assert frames[:, :, width // 2 + 4 :].min() > 180


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [(".mpg", "mpeg1video"), (".mpeg", "mpeg2video"), (".ts", "mpeg2video"),
     (".m2ts", "mpeg2video"), (".wmv", "wmv2"), (".asf", "wmv1"), (".flv", "flv"),
     (".vob", "mpeg2video"), (".3gp", "mpeg4")],
)  # fmt: skip
def test_containers(tmp_path: Path, suffix: str, codec: str) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        clip = np.stack([np.full((32, 48, 3), 20 * n, np.uint8) for n in range(11)])
        path = tmp_path / name / f"x{suffix}"
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=25)
            stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
            for frame in clip:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())
    found = folders(tmp_path)
    assert found.of_clips
    means = arrays(found).inputs[0].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(means, [20 * n for n in range(11)], atol=6)
    [row] = read_inputs([path], found.input_shape, True, lambda path: clip[0])
    np.testing.assert_array_equal(row.array, arrays(found).inputs[1])


@pytest.mark.parametrize("size", [(16, 24), (16, 16), (8, 40)])
def test_a_video_too_large_is_scaled_while_it_is_decoded(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    clip = rng.integers(0, 256, (12, 64, 96, 3), np.uint8)
    clip[:, [0, -1]] = clip[:, :, [0, -1]] = 128
    for name in ("a/x.mkv", "b/y.mkv"):
        save_video(tmp_path / name, clip)
    monkeypatch.setattr(videos, "MOST_BYTES", 5 * clip[0].nbytes)
    found = folders(tmp_path, size=(*size, 0))
    assert found.input_shape == (12, *size, 3)
    inputs = arrays(found).inputs[0]
    np.testing.assert_array_equal(read_clip(tmp_path / "a/x.mkv", found.input_shape), inputs)
    expected = fit(clip, *size, 3)  # Scaled after it was decoded.
    if size == (16, 24):
        np.testing.assert_array_equal(inputs, expected)
    else:  # The colour of the border is that of the scaled frames.
        assert np.abs(inputs.astype(int) - expected).mean() < 10
    with pytest.raises(UnreadableImageError, match=r"64 x 96.*set config.data.height"):
        read_frames(tmp_path / "a/x.mkv")


def test_frames_that_the_decoder_filled_up(tmp_path: Path, rng: np.random.Generator) -> None:
    """FFmpeg marks them (AV_FRAME_FLAG_CORRUPT), and hands them out all the same."""
    path = save_video(tmp_path / "x.mp4", clips_of(rng, 2)[0], "mpeg4", "yuv420p")
    content = path.read_bytes()
    assert len(read_frames(path)) == 11
    begin = content.index(b"mdat") + 200
    corrupt = 0
    for place in range(begin, begin + 2000, 200):
        path.write_bytes(content[:place] + bytes(40) + content[place + 40 :])
        with av.open(str(path)) as container:
            if any(frame.is_corrupt for frame in container.decode(video=0)):
                corrupt += 1
                with pytest.raises(UnreadableImageError, match="it is damaged or cut short"):
                    read_frames(path)
    assert corrupt >= 4


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv", ".webm"])
def test_what_is_no_video(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"x{suffix}"
    for content, reason in (
        (b"", "an empty file"),
        (b"no video, but words\n" * 9, "it is no video, or a damaged one"),
        (bytes(range(256)) * 9, "it is no video, or a damaged one"),
    ):
        file.write_bytes(content)
        with pytest.raises(UnreadableImageError, match=f"^{reason}$"):
            read_frames(file)
    # A picture is one under any name.
    picture = Image.fromarray(np.eye(8, dtype=np.uint8))
    for kind in ("PNG", "JPEG", "BMP", "TIFF"):
        picture.save(file, kind)
        [row] = read_inputs([file], (8, 8, 1), True, lambda path: pytest.fail("read"))
        assert row.error == (
            "a single image; this run reads clips: a folder of frames, a GIF or a video"
        )
