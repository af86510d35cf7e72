"""Layouts of class folders; what is wrong with them, in one line."""

from pathlib import Path

import numpy as np

from seqvision.data.files.clips import kind_of
from tests.data.making import (
    CLASSES,
    assert_equal,
    clips_of,
    folders,
    save_animation,
    save_frames,
    save_png,
    says,
    some_images,
)


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
    save_png(path / "1.png", np.ones((6, 5, 1), np.uint8))
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
