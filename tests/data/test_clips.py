"""Clips of one's own: folders of frames, animations and videos, whole and damaged."""

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from seqvision.data.files.clips import kind_of, read_clip, read_frames
from seqvision.data.files.images import read_image
from seqvision.data.files.opening import UnreadableImageError
from seqvision.data.files.pixels import fit
from seqvision.data.files.videos import VIDEO_SUFFIXES
from seqvision.inference.inputs import read_inputs
from tests.data.making import (
    CLASSES,
    HEIGHT,
    WIDTH,
    arrays,
    assert_equal,
    clip_set,
    clips_of,
    folders,
    npz,
    save_animation,
    save_frames,
    save_npz,
    save_png,
    save_video,
    says,
)


@pytest.mark.parametrize("form", ["frames", ".mkv", ".gif", ".webp", ".png"])
def test_one_set_in_every_form_is_equal(
    tmp_path: Path, rng: np.random.Generator, form: str
) -> None:
    clips, labels = clip_set(rng)
    save = {"frames": save_frames, ".mkv": save_video}.get(form, save_animation)
    for number, (clip, label) in enumerate(zip(clips, labels, strict=True)):
        if form in (".webp", ".png") and len(clip) == 1:
            form_here, save_here = ".gif", save_animation  # One frame in these is an image.
        else:
            form_here, save_here = form, save
        name = f"clip{number}" + ("" if form == "frames" else form_here)
        save_here(tmp_path / "set" / CLASSES[label] / name, clip)
    save_npz(tmp_path / "set.npz", clips, labels, class_names=CLASSES)
    fractions = {"validation_fraction": 0.25, "test_fraction": 0.25}
    for options in ({}, fractions, {"size": (8, 8, 1)}):
        of_folders = folders(tmp_path / "set", **options)
        assert_equal(of_folders, npz(tmp_path / "set.npz", **options))
    assert of_folders.name == "set" and of_folders.of_clips

    whole = folders(tmp_path / "set")
    assert whole.input_shape == (11, HEIGHT, WIDTH, 3)
    for number, clip in enumerate(clips):
        inputs = arrays(whole).inputs[number]
        np.testing.assert_array_equal(inputs[: len(clip)], clip)
        assert not inputs[len(clip) :].any()
    assert arrays(whole).lengths.tolist() == [len(clip) for clip in clips]
    assert arrays(whole).labels.tolist() == labels


def test_prediction_reads_as_training_does(tmp_path: Path, rng: np.random.Generator) -> None:
    for name, clip in zip(("a/x", "b/y"), clips_of(rng, 2), strict=True):
        save_frames(tmp_path / name, clip)
    for size in ((9, 31, 1), (30, 30, 3)):
        found = folders(tmp_path, size=size)
        for number, name in enumerate(("a/x", "b/y")):
            clip = read_clip(tmp_path / name, found.input_shape)
            np.testing.assert_array_equal(clip, arrays(found).inputs[number, : len(clip)])
    image = save_png(tmp_path / "image.png", clip[0])
    np.testing.assert_array_equal(
        read_image(image, (15, 10, 3), "mixed"), fit(read_frames(image), 15, 10, 3)[0]
    )


def test_frames_are_composed_as_a_player_does(tmp_path: Path) -> None:
    """Each later frame of this GIF draws one column only, and leaves the rest."""
    frames = np.zeros((4, 6, 8, 3), np.uint8)
    for number in range(4):
        frames[number:, :, number] = (200, 10 * number, 60)
    frames = np.repeat(frames, 2, axis=2)
    path = save_animation(tmp_path / "x.gif", frames)
    assert path.stat().st_size < 1000
    np.testing.assert_array_equal(read_frames(path), frames)


def test_a_phone_held_upright(tmp_path: Path, rng: np.random.Generator) -> None:
    gradient = np.zeros((4, 32, 64, 3), np.uint8)
    gradient[:, :16] = 255  # Bright above.
    path = save_video(tmp_path / "x.mp4", gradient, "mpeg4", "yuv420p")
    content = path.read_bytes()
    identity = b"".join(v.to_bytes(4, "big") for v in (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30))
    turned = b"".join(
        (v % 2**32).to_bytes(4, "big")
        for v in (0, 1 << 16, 0, -(1 << 16), 0, 0, 32 << 16, 0, 1 << 30)
    )
    head = content.index(b"tkhd")
    at = content.index(identity, head)
    path.write_bytes(content[:at] + turned + content[at + len(turned) :])
    frames = read_frames(path)
    assert frames.shape[:3] == (4, 64, 32)
    # Turned clockwise: what was above is on the right.
    assert frames[:, :, 20:].min() > 200 and frames[:, :, :12].max() < 55


def test_deep_and_transparent_frames_share_one_scale_and_one_paper(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for number, brightest in enumerate((3000, 60000)):
        values = np.linspace(0, brightest, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
        Image.fromarray(values.astype(np.uint16)).save(tmp_path / f"deep/{number}.png")
    deep = read_frames(tmp_path / "deep")
    assert deep.shape == (2, HEIGHT, WIDTH, 1)
    assert deep.max(axis=(1, 2, 3)).tolist() == [12, 233]

    (tmp_path / "ink").mkdir()
    for number, ink in enumerate((255, 255, 0)):
        image = Image.new("LA", (WIDTH, HEIGHT), (0, 0))
        image.paste((ink, 255), (2, 2, 6, 6))
        image.save(tmp_path / f"ink/{number}.png")
    inked = read_frames(tmp_path / "ink")
    assert inked[:, 0, 0, 0].tolist() == [0, 0, 0]  # Light ink, so on black.
    assert inked[:, 3, 3, 0].tolist() == [255, 255, 0]


def test_kinds(tmp_path: Path, rng: np.random.Generator) -> None:
    clip = clips_of(rng, 2)[0]
    assert kind_of(save_frames(tmp_path / "folder", clip)) == "clip"
    assert kind_of(save_animation(tmp_path / "x.gif", clip[:1])) == ""  # As the others.
    assert kind_of(save_animation(tmp_path / "x.tif", clip)) == "clip"
    assert kind_of(save_animation(tmp_path / "y.tif", clip[:1])) == "image"
    assert kind_of(tmp_path / "missing.png") == ""
    np.testing.assert_array_equal(read_frames(tmp_path / "x.tif"), clip)


@pytest.mark.parametrize("suffix", [".gif", ".mkv", ".avi", ".mp4", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("part", [0.0, 0.5, 0.8])
def test_cut_short(tmp_path: Path, rng: np.random.Generator, suffix: str, part: float) -> None:
    path, clip = tmp_path / f"x{suffix}", clips_of(rng, 2)[0]
    if suffix in VIDEO_SUFFIXES:
        save_video(path, clip, *(("mpeg4", "yuv420p") if suffix == ".mp4" else ()))
    else:
        save_animation(path, clip)
    assert len(read_frames(path)) == len(clip)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(UnreadableImageError) as error:
        read_frames(path)
    assert len(str(error.value).splitlines()) == 1


def test_a_gif_cut_between_two_frames(tmp_path: Path, rng: np.random.Generator) -> None:
    path = save_animation(tmp_path / "x.gif", clips_of(rng, 2)[0])
    content = path.read_bytes()
    for end in range(len(content) // 2, len(content), 31):
        path.write_bytes(content[:end])
        with pytest.raises(UnreadableImageError):
            read_frames(path)


def test_videos_need_an_extra(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/x.mkv", "b/y.mkv"):
        save_video(tmp_path / name, clips_of(rng, 2)[0])
    original = builtins.__import__

    def without_av(name: str, *arguments: Any, **more: Any) -> Any:
        if name == "av":
            raise ModuleNotFoundError("No module named 'av'")
        return original(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without_av)
    for broken_files in ("fail", "skip"):
        call = lambda: folders(tmp_path, broken_files=broken_files)  # noqa: B023, E731
        says(call, "x.mkv", "pip install 'seqvision[video]'")
    inputs = read_inputs([tmp_path / "a/x.mkv"], (3, 8, 8, 3), True, lambda path: np.zeros(1))
    says(lambda: list(inputs), "pip install 'seqvision[video]'")
