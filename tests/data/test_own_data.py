"""The user's own data: class folders, .npz files, videos; what is wrong with them, in one line."""

import builtins
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from seqvision.data.dataset import ArraySplit, Dataset
from seqvision.data.files.clips import VIDEO_SUFFIXES, kind_of, read_clip, read_frames
from seqvision.data.files.images import UnreadableImageError, read_image
from seqvision.data.files.paths import natural_key
from seqvision.data.files.pixels import fit
from seqvision.data.sources.folders import load_folders
from seqvision.data.sources.hash_split import fraction_of, side_of
from seqvision.data.sources.npz import load_npz
from seqvision.errors import UserError
from seqvision.inference.inputs import find_inputs, read_inputs

CLASSES = ("été", "右")
HEIGHT, WIDTH = 12, 20
Clip = np.ndarray


# Making sets.


def folders(path: Path, **options: Any) -> Dataset:
    plain = {"broken_files": "fail", "validation_fraction": 0.0, "test_fraction": 0.0}
    silent = {"say": lambda line: None, "show_progress": False}
    return load_folders(path, **(plain | silent | options))


def npz(path: Path, **options: Any) -> Dataset:
    return load_npz(path, **({"validation_fraction": 0.0, "test_fraction": 0.0} | options))


def arrays(dataset: Dataset, split: str = "train") -> ArraySplit:
    found = dataset.split(split)
    assert isinstance(found, ArraySplit)
    return found


def save_png(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(path)
    return path


def save_frames(path: Path, clip: Clip) -> Path:
    for number, frame in enumerate(clip):
        save_png(path / f"frame{number + 1}.png", frame)  # frame10 comes after frame2.
    return path


def save_video(path: Path, clip: Clip, codec: str = "ffv1", pixels: str = "bgr0") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width, stream.pix_fmt = *clip.shape[1:3], pixels
        for frame in clip:
            packets = stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24"))
            container.mux(packets)
        container.mux(stream.encode())
    return path


def save_animation(path: Path, clip: Clip) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = [Image.fromarray(f[..., 0] if f.shape[-1] == 1 else f) for f in clip]
    lossless = {"lossless": True} if path.suffix == ".webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], **lossless)
    return path


def clips_of(rng: np.random.Generator, count: int = 12, channels: int = 3) -> list[Clip]:
    """Clips of different lengths; one is longer than nine frames."""
    lengths = [11, 1, *rng.integers(2, 7, count - 2)]
    return [rng.integers(0, 256, (n, HEIGHT, WIDTH, channels), np.uint8) for n in lengths]


def save_npz(path: Path, clips: list[Clip], labels: list[int], **more: Any) -> Path:
    images = np.zeros((len(clips), max(map(len, clips)), *clips[0].shape[1:]), np.uint8)
    images[:] = 99  # What lies after a clip's length does not count.
    for array, clip in zip(images, clips, strict=True):
        array[: len(clip)] = clip
    np.savez(path, images=images, labels=labels, lengths=[len(c) for c in clips], **more)
    return path


@pytest.fixture
def clip_set(rng: np.random.Generator) -> tuple[list[Clip], list[int]]:
    clips = clips_of(rng)
    return clips, [number * 2 // len(clips) for number in range(len(clips))]


def assert_equal(left: Dataset, right: Dataset) -> None:
    assert left.class_names == right.class_names
    assert left.input_shape == right.input_shape
    assert list(left.splits) == list(right.splits)
    for split in left.splits:
        for name, array in arrays(left, split).arrays.items():
            np.testing.assert_array_equal(array, arrays(right, split).arrays[name])
    assert left.fingerprints == right.fingerprints


def says(call: Callable[[], Any], *parts: str) -> str:
    with pytest.raises(UserError) as error:
        call()
    text = str(error.value)
    assert "\n" not in text and text.isprintable()
    for part in parts:
        assert part in text, text
    return text


# One set in every form.


@pytest.mark.parametrize("form", ["frames", ".mkv", ".gif", ".webp", ".png"])
def test_one_set_in_every_form_is_equal(
    tmp_path: Path, clip_set: tuple[list[Clip], list[int]], form: str
) -> None:
    clips, labels = clip_set
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


def test_string_labels_are_class_names(
    tmp_path: Path, clip_set: tuple[list[Clip], list[int]]
) -> None:
    clips, labels = clip_set
    save_npz(tmp_path / "numbers.npz", clips, labels, class_names=CLASSES)
    save_npz(tmp_path / "names.npz", clips, [CLASSES[label] for label in labels])
    assert_equal(npz(tmp_path / "numbers.npz"), npz(tmp_path / "names.npz"))


@pytest.mark.parametrize("channels", [1, 3])
def test_images_in_folders_and_arrays_are_equal(
    tmp_path: Path, rng: np.random.Generator, channels: int
) -> None:
    images = rng.integers(0, 256, (40, HEIGHT, WIDTH, channels), np.uint8)
    labels = np.arange(40) // 20
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        save_png(tmp_path / "set" / f"{label}" / f"{number}.png", image)
    np.savez(tmp_path / "set.npz", images=images, labels=labels)
    for options in ({"validation_fraction": 0.2, "test_fraction": 0.2}, {"size": (28, 28, 0)}):
        found = folders(tmp_path / "set", **options)
        assert_equal(found, npz(tmp_path / "set.npz", **options))
    assert found.input_shape == (28, 28, channels) and not found.of_clips
    assert arrays(found).lengths is None


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_among_colour(tmp_path: Path, rng: np.random.Generator, channels: int) -> None:
    grey = rng.integers(0, 256, (HEIGHT, WIDTH, 1), np.uint8)
    colour = rng.integers(0, 256, (HEIGHT, WIDTH, channels), np.uint8)
    save_png(tmp_path / "a/x.png", grey)
    save_png(tmp_path / "b/x.png", colour)
    found = folders(tmp_path)
    assert found.input_shape[-1] == channels
    np.testing.assert_array_equal(arrays(found).inputs[0], np.repeat(grey, channels, -1))
    assert folders(tmp_path, size=(0, 0, 1)).input_shape == (HEIGHT, WIDTH, 1)
    in_colour = folders(tmp_path, size=(0, 0, 3))
    np.testing.assert_array_equal(arrays(in_colour).inputs[1], np.repeat(colour, 3 // channels, -1))


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


# Files.


def test_natural_order() -> None:
    names = ["frame10", "frame2", "b", "a10b", "a2b", "frame02", "2", "10", "été", "²"]
    found = sorted(names, key=natural_key)
    assert found == ["2", "10", "a2b", "a10b", "b", "frame02", "frame2", "frame10", "²", "été"]


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
    assert kind_of(save_animation(tmp_path / "x.gif", clip[:1])) == "clip"
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


# The split rule.


def test_the_cut_follows_the_content(tmp_path: Path, rng: np.random.Generator) -> None:
    fractions = {"validation_fraction": 0.3, "test_fraction": 0.3}
    images = rng.integers(0, 256, (60, 5, 7, 1), np.uint8)
    for number, image in enumerate(images):
        for name in ("", "copy-of-"):
            save_png(tmp_path / f"{number % 2}" / f"{name}{number}.png", image)

    def sides(dataset: Dataset) -> dict[bytes, str]:
        found: dict[bytes, str] = {}
        for split in dataset.splits:
            for image in arrays(dataset, split).inputs:
                assert found.setdefault(image.tobytes(), split) == split
        return found

    before = sides(folders(tmp_path, **fractions))
    assert len(before) == 60 and set(before.values()) == {"train", "validation", "test"}
    for number in range(30):
        save_png(tmp_path / "1" / f"000{number}.png", rng.integers(0, 256, (5, 7, 1), np.uint8))
    after = sides(folders(tmp_path, **fractions))
    assert len(after) == 90 and {image: after[image] for image in before} == before
    # A larger test split takes the old one in.
    grown = sides(folders(tmp_path, **(fractions | {"test_fraction": 0.5})))
    assert all(grown[image] == "test" for image, side in after.items() if side == "test")


def test_fractions(rng: np.random.Generator) -> None:
    frames = rng.integers(0, 256, (4000, 1, 2, 3, 1), np.uint8)
    found = [side_of(fraction_of(f), 0.1, 0.2) for f in frames]
    assert abs(found.count("test") / 4000 - 0.2) < 0.03
    assert abs(found.count("validation") / 4000 - 0.1) < 0.03
    # Grey stored as colour is the same content; other frames, another shape are not.
    one = frames[0]
    assert fraction_of(np.repeat(one, 3, -1)) == fraction_of(one)
    assert len({fraction_of(f) for f in (one, frames[1], one.reshape(1, 3, 2, 1))}) == 3
    # Pinned: a later version must not move anyone's examples.
    assert fraction_of(np.zeros((1, 2, 3, 1), np.uint8)) == pytest.approx(0.97526041644)


@pytest.mark.parametrize("validation", ["val", "validation", "Val"])
def test_given_splits_stay(tmp_path: Path, rng: np.random.Generator, validation: str) -> None:
    counts = {"train": 40, validation: 3, "test": 5}
    images = {s: rng.integers(0, 256, (2, n, 6, 6, 3), np.uint8) for s, n in counts.items()}
    for split, classes in images.items():
        for name, files in zip(CLASSES, classes, strict=True):
            for number, image in enumerate(files):
                save_png(tmp_path / "x" / split / name / f"{number}.png", image)
    every = {"validation_fraction": 0.2, "test_fraction": 0.2}
    found = folders(tmp_path / "x", **every)
    sizes = {split: len(found.split(split)) for split in found.splits}
    assert sizes == {"train": 80, "validation": 6, "test": 10}
    saved = {}
    for split, classes in images.items():
        saved[f"{split.lower()}_images"] = classes.reshape(-1, 6, 6, 3)
        saved[f"{split.lower()}_labels"] = np.repeat(CLASSES, len(classes[0]))
    np.savez(tmp_path / "x.npz", **saved)
    assert_equal(found, npz(tmp_path / "x.npz", **every))

    shutil.rmtree(tmp_path / "x" / validation)
    found = folders(tmp_path / "x", **every)
    assert len(found.split("test")) == 10  # Cut from train: validation alone.
    assert len(found.split("train")) + len(found.split("validation")) == 80
    shutil.rmtree(tmp_path / "x" / "test")
    assert list(folders(tmp_path / "x", validation_fraction=0.2).splits) == ["train", "validation"]
    assert list(folders(tmp_path / "x", **every).splits) == ["train", "validation", "test"]


# Layouts of .npz files.


def medmnist(path: Path, shape: tuple[int, ...], **more: np.ndarray) -> Path:
    rng = np.random.default_rng(1)
    saved = {}
    for split, count in (("train", 20), ("val", 4), ("test", 6)):
        saved[f"{split}_images"] = rng.integers(0, 256, (count, *shape), np.uint8)
        saved[f"{split}_labels"] = (np.arange(count) % 2)[:, None].astype(np.uint8)
    np.savez(path, **(saved | more))
    return path


@pytest.mark.parametrize(
    ("shape", "input_shape"),
    [
        ((28, 28), (28, 28, 1)),
        ((28, 28, 3), (28, 28, 3)),
        ((28, 28, 28), (28, 28, 28, 1)),
        ((5, 28, 28, 3), (5, 28, 28, 3)),
    ],
)
def test_medmnist(
    tmp_path: Path, shape: tuple[int, ...], input_shape: tuple[int, int, int, int]
) -> None:
    found = npz(medmnist(tmp_path / "x.npz", shape), validation_fraction=0.1, test_fraction=0.1)
    assert found.input_shape == input_shape
    assert found.of_clips == (len(input_shape) == 4)
    assert found.class_names == ("0", "1")
    assert [len(found.split(s)) for s in ("train", "validation", "test")] == [20, 4, 6]
    if found.of_clips:
        assert arrays(found).lengths.tolist() == [shape[0]] * 20
    small = npz(tmp_path / "x.npz", size=(14, 10, 0))
    assert small.input_shape[-3:] == (14, 10, input_shape[-1])


def test_kind_decides(tmp_path: Path) -> None:
    labels = [0, 1, 0, 1]
    np.savez(tmp_path / "x.npz", images=np.ones((4, 6, 5, 3), np.uint8), labels=labels)
    assert npz(tmp_path / "x.npz").input_shape == (6, 5, 3)
    assert npz(tmp_path / "x.npz", kind="clips").input_shape == (6, 5, 3, 1)
    np.savez(tmp_path / "x.npz", images=np.ones((4, 3, 6, 5), np.uint8), labels=labels)
    says(lambda: npz(tmp_path / "x.npz"), "np.moveaxis(images, 1, -1)", "config.data.kind")
    assert npz(tmp_path / "x.npz", kind="clips").input_shape == (3, 6, 5, 1)
    says(lambda: npz(tmp_path / "x.npz", kind="images"), "channels come last")


IMAGES, LABELS = np.ones((4, 6, 5), np.uint8), np.array([0, 1, 0, 1])
CLIP_ARRAY = np.ones((4, 7, 6, 5), np.uint8)


@pytest.mark.parametrize(
    ("saved", "parts"),
    [
        ({"image": IMAGES, "labels": LABELS}, ["'image'", "did you mean 'images'"]),
        ({"x": IMAGES, "y": LABELS}, ["no 'images'", "it has x, y", "train_images"]),
        ({}, ["no 'images'", "nothing"]),
        ({"images": IMAGES}, ["no 'labels'"]),
        ({"train_images": IMAGES}, ["no 'train_labels'"]),
        ({"test_images": IMAGES, "test_labels": LABELS}, ["no 'train_images'"]),
        (
            {"images": IMAGES, "labels": LABELS, "train_images": IMAGES, "train_labels": LABELS},
            ["both images and train_images"],
        ),
        (
            {f"{p}_{k}": v for p in ("train", "val", "validation")
             for k, v in (("images", IMAGES), ("labels", LABELS))},
            ["both validation_images and val_images"],
        ),
        ({"images": IMAGES / 255, "labels": LABELS}, ["float64", "uint8", ".astype(np.uint8)"]),
        ({"images": IMAGES.astype(object), "labels": LABELS}, ["Python objects"]),
        ({"images": IMAGES, "labels": LABELS.astype(object)}, ["'labels' holds Python objects"]),
        ({"images": np.ones((4, 30), np.uint8), "labels": LABELS}, ["(4, 30)", "images are"]),
        ({"images": np.ones(4, np.uint8), "labels": LABELS}, ["(4,)", "clips are"]),
        ({"images": np.ones((4, 0, 5), np.uint8), "labels": LABELS}, ["(4, 0, 5)"]),
        ({"images": np.ones((4, 7, 3, 6, 5), np.uint8), "labels": LABELS}, ["channels come last"]),
        ({"images": IMAGES, "labels": np.ones((4, 14), int)}, ["(4, 14)", "several labels"]),
        ({"images": IMAGES, "labels": np.ones((4, 1, 1), int)}, ["(4, 1, 1)"]),
        ({"images": IMAGES, "labels": LABELS / 1.0}, ["float64", "whole numbers"]),
        ({"images": IMAGES, "labels": LABELS - 1}, ["labels has -1"]),
        ({"images": IMAGES, "labels": LABELS + 1}, ["class 0 has no training examples"]),
        ({"images": IMAGES, "labels": LABELS * 10**9}, ["a label is 1000000000"]),
        ({"images": IMAGES, "labels": LABELS * 0}, ["only one class"]),
        ({"images": IMAGES, "labels": LABELS[:3]}, ["(4, 6, 5)", "3 labels"]),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, ["train split is empty"]),
        (
            {"images": CLIP_ARRAY.swapaxes(0, 1), "labels": LABELS},
            ["(time, batch, ...)", "swapaxes"],
        ),
        (
            {"images": IMAGES, "labels": LABELS, "class_names": np.array(["a"])},
            ["labels has 1", "class_names has 1 names"],
        ),
        ({"images": IMAGES, "labels": LABELS, "class_names": ["a", "a"]}, ["different names"]),
        ({"images": IMAGES, "labels": LABELS, "class_names": [1, 2]}, ["names are strings"]),
        (
            {"images": IMAGES, "labels": LABELS, "class_names": ["a", "b", "c"]},
            ["class c has no training"],
        ),
        (
            {"images": IMAGES, "labels": ["a", "b", "c", "a"], "class_names": ["a", "b"]},
            ["'c'", "class_names lacks"],
        ),
        ({"images": IMAGES, "labels": np.array([b"a", b"\xe9"] * 2)}, ["npz: labels", "not UTF-8"]),
        ({"images": IMAGES, "labels": LABELS, "lengths": [1] * 4}, ["which have no lengths"]),
        ({"images": CLIP_ARRAY, "labels": LABELS, "lengths": [1, 8, 1, 1]}, ["is 8", "1 to 7"]),
        ({"images": CLIP_ARRAY, "labels": LABELS, "lengths": [1, 2, 0, 1]}, ["is 0", "1 to 7"]),
        ({"images": CLIP_ARRAY, "labels": LABELS, "lengths": [1, 2]}, ["(2,)", "(4,)"]),
        ({"images": CLIP_ARRAY, "labels": LABELS, "lengths": [1.0] * 4}, ["float64"]),
        (
            {"train_images": IMAGES, "train_labels": LABELS,
             "test_images": IMAGES[:, :5], "test_labels": LABELS},
            ["6 x 5", "5 x 5", "config.data.height", "config.data.width"],
        ),
        (
            {"train_images": IMAGES, "train_labels": LABELS,
             "test_images": CLIP_ARRAY, "test_labels": LABELS},
            ["train_images are images and test_images are clips"],
        ),
        (
            {"train_images": IMAGES, "train_labels": LABELS,
             "test_images": IMAGES, "test_labels": ["a", "b"] * 2},
            ["numbers and some strings"],
        ),
        (
            {"train_images": IMAGES, "train_labels": LABELS,
             "test_images": IMAGES[:0], "test_labels": LABELS[:0]},
            ["its test split is empty"],
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_npz_file(
    tmp_path: Path, saved: dict[str, Any], parts: list[str]
) -> None:
    np.savez(tmp_path / "x.npz", **saved)
    says(lambda: npz(tmp_path / "x.npz"), "x.npz", *parts)


def test_npz_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    says(lambda: npz(path), "no such file", "config.data.path")
    says(lambda: npz(tmp_path), "a folder")
    path.write_bytes(b"")
    says(lambda: npz(path), "no .npz file")
    np.save(tmp_path / "x.npy", IMAGES)
    says(lambda: npz(tmp_path / "x.npy"), ".npy", "np.savez")
    for save in (np.savez, np.savez_compressed):
        save(path, images=np.arange(3000, dtype=np.uint8).reshape(30, 10, 10), labels=[0, 1] * 15)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        says(lambda: npz(path), "damaged")
        path.write_bytes(content[:300] + bytes(b ^ 85 for b in content[300:340]) + content[340:])
        says(lambda: npz(path), "damaged")


# Layouts of folders.


def some_images(path: Path, classes: tuple[str, ...] = CLASSES, count: int = 3) -> Path:
    rng = np.random.default_rng(2)
    for name in classes:
        for number in range(count):
            save_png(path / name / f"{number}.png", rng.integers(0, 256, (6, 5, 3), np.uint8))
    return path


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    some_images(tmp_path)
    (tmp_path / CLASSES[0] / ".hidden.png").write_bytes(b"x")
    (tmp_path / ".git").mkdir()
    lines: list[str] = []
    before = folders(tmp_path, say=lines.append)
    assert lines == []
    (tmp_path / "empty").mkdir()
    (tmp_path / "labels.csv").write_text("x")
    (tmp_path / CLASSES[0] / "notes.txt").write_text("x")
    after = folders(tmp_path, say=lines.append)
    assert_equal(before, after)
    assert len(lines) == 2
    assert "empty" in lines[0]
    assert "2" in lines[1] and ("labels.csv" in lines[1] or "notes.txt" in lines[1])


def test_broken_files_fail_or_are_skipped(tmp_path: Path, rng: np.random.Generator) -> None:
    some_images(tmp_path)
    before = folders(tmp_path)
    whole = (tmp_path / CLASSES[0] / "0.png").read_bytes()
    broken = tmp_path / CLASSES[0] / "9.png"
    for content in (b"", b"text", whole[:-30]):
        broken.write_bytes(content)
        says(lambda: folders(tmp_path), "9.png", "config.data.broken_files", "'skip'")
        lines: list[str] = []
        assert_equal(folders(tmp_path, broken_files="skip", say=lines.append), before)
        [line] = lines
        assert "1 of 7" in line and "9.png" in line
    for number in range(3):
        (tmp_path / CLASSES[0] / f"{number}.png").write_bytes(b"x")
    says(lambda: folders(tmp_path, broken_files="skip"), CLASSES[0], "no training examples")


def test_broken_clips(tmp_path: Path, rng: np.random.Generator) -> None:
    for name, clip in zip(("a/x", "b/y"), clips_of(rng, 2), strict=True):
        save_frames(tmp_path / name, clip)
    before = folders(tmp_path)
    broken = tmp_path / "b" / "z"
    broken.mkdir()
    says(lambda: folders(tmp_path), "z", "no frames")
    save_png(broken / "1.png", clip[0])
    save_png(broken / "2.png", clip[0, :5])
    says(lambda: folders(tmp_path), "z", "differ in size: frame 1 is 12 x 20, frame 2 is 5 x 20")
    (broken / "2.png").write_bytes(b"x")
    says(lambda: folders(tmp_path), "z", "frame 2.png")
    assert_equal(folders(tmp_path, broken_files="skip"), before)


def test_what_is_wrong_with_a_folder(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "x"
    says(lambda: folders(path), "no such folder", "config.data.path")
    path.write_text("x")
    says(lambda: folders(path), "config.data.path")
    path.unlink()
    path.mkdir()
    says(lambda: folders(path), "no class folders", "CLASS")
    save_png(path / "1.png", IMAGES[0][..., None])
    says(lambda: folders(path), "no class folders")
    some_images(path, ("a",))
    says(lambda: folders(path), "only one class, 'a'")
    some_images(path, ("b",))
    save_png(path / "b" / "other.png", np.ones((9, 5, 3), np.uint8))
    text = says(lambda: folders(path), "9 x 5", "6 x 5", "other.png")
    assert "config.data.height" in text and "config.data.width" in text
    assert folders(path, size=(6, 5, 0)).input_shape == (6, 5, 3)
    assert folders(path, size=(6, 0, 0)).input_shape == (6, 5, 3)
    save_animation(path / "a" / "clip.gif", clips_of(rng, 2)[0])
    says(lambda: folders(path, size=(6, 5, 3)), "0.png is an image", "clip.gif a clip")
    bad = path / "caf\udce9"
    some_images(path, (bad.name,))
    says(lambda: folders(path), "UTF-8")


def test_wrong_splits(tmp_path: Path) -> None:
    some_images(tmp_path / "a" / "train")
    some_images(tmp_path / "a" / "extra")
    assert kind_of(tmp_path / "a" / "train") == "clip"
    some_images(tmp_path / "a" / "test")
    says(lambda: folders(tmp_path / "a"), "test, train and also extra")
    some_images(tmp_path / "b" / "test")
    says(lambda: folders(tmp_path / "b"), "has test but no train")
    some_images(tmp_path / "b" / "train")
    (tmp_path / "b" / "val").mkdir()
    says(lambda: folders(tmp_path / "b"), "val", "no class folders")
    some_images(tmp_path / "b" / "val", (*CLASSES, "new"))
    says(lambda: folders(tmp_path / "b"), "class new has no training examples")
    some_images(tmp_path / "b" / "validation")
    says(lambda: folders(tmp_path / "b"), "both val and validation")
    # CIFAR-100 has a class `train`.
    assert folders(some_images(tmp_path / "c", ("bus", "train"))).class_names == ("bus", "train")


def test_an_empty_side(tmp_path: Path) -> None:
    some_images(tmp_path)
    for split in ("validation", "test"):
        call = lambda: folders(tmp_path, **{f"{split}_fraction": 1e-6})  # noqa: B023, E731
        says(call, f"config.data.{split}_fraction", "of 6 examples", f"none for {split}")
    says(lambda: folders(tmp_path, test_fraction=1.0), "no training examples")


# Prediction.


def test_inputs_for_images(tmp_path: Path, rng: np.random.Generator) -> None:
    clip = clips_of(rng, 2)[0]
    save_png(tmp_path / "a.png", clip[0])
    save_animation(tmp_path / "b.gif", clip)
    save_animation(tmp_path / "c.gif", clip[:1])
    save_video(tmp_path / "d.mkv", clip)
    (tmp_path / "e.txt").write_text("x")
    save_frames(tmp_path / "f", clip)
    np.savez(tmp_path / "g.npz", images=clip)
    np.savez(tmp_path / "h.npz", images=clip[None])
    np.savez(tmp_path / "i.npz", x=clip)
    paths = find_inputs(f"{tmp_path}/*", of_clips=False)
    assert [p.name for p in paths] == [
        "a.png", "b.gif", "c.gif", "d.mkv", "e.txt", "g.npz", "h.npz", "i.npz",
    ]  # fmt: skip
    shape = (HEIGHT, WIDTH, 3)
    rows = list(read_inputs(paths, shape, False, lambda path: read_image(path, shape, "mixed")))
    found = {Path(name).name: (array, error) for name, array, error in rows}
    assert len(found) == 7 + len(clip)
    for name in ("a.png", "c.gif", "g.npz[0]"):
        np.testing.assert_array_equal(found[name][0], clip[0])
    np.testing.assert_array_equal(found["g.npz[10]"][0], clip[10])
    for name in ("b.gif", "d.mkv"):
        assert found[name] == (None, "a clip; this run reads single images")
    assert "no image" in found["e.txt"][1]
    assert "images are (N, height, width)" in found["h.npz"][1]
    assert found["i.npz"][1] == "no 'images' in it; it has x"


def test_inputs_for_clips(tmp_path: Path, rng: np.random.Generator) -> None:
    clips = clips_of(rng, 4)
    save_frames(tmp_path / "a", clips[0])
    save_video(tmp_path / "b.mkv", clips[0])
    save_animation(tmp_path / "c.gif", clips[0])
    save_png(tmp_path / "d.png", clips[0][0])
    save_npz(tmp_path / "e.npz", clips, [0] * 4)
    (tmp_path / "f.gif").write_bytes(b"")
    (tmp_path / "g").mkdir()
    names = ["a", "b.mkv", "c.gif", "d.png", "e.npz", "f.gif", "g"]
    for pattern in ("*", "*/**"):
        paths = find_inputs(f"{tmp_path}/{pattern}", of_clips=True)
        assert [p.name for p in paths] == (names if pattern == "*" else ["a", "g"])
    paths = find_inputs(f"{tmp_path}/*", of_clips=True)
    shape = (3, 10, 10, 1)  # Frames beyond the network's three are kept.
    found = {
        Path(name).name: (array, error)
        for name, array, error in read_inputs(paths, shape, True, lambda path: np.zeros(1))
    }
    expected = fit(clips[0], 10, 10, 1)
    for name in ("a", "b.mkv", "c.gif", "e.npz[0]"):
        np.testing.assert_array_equal(found[name][0], expected)
    assert [len(found[f"e.npz[{n}]"][0]) for n in range(4)] == [len(clip) for clip in clips]
    assert "a single image; this run reads clips" in found["d.png"][1]
    assert found["f.gif"][0] is None and found["f.gif"][1]
    assert found["g"][0] is None and "no frames" in found["g"][1]


def test_no_inputs(tmp_path: Path) -> None:
    says(lambda: find_inputs(f"{tmp_path}", False), "no file matches", f"{tmp_path}/*")
    says(lambda: find_inputs(f"{tmp_path}/*.png", True), "no clip matches")
