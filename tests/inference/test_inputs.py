"""Files to predict on."""

import os
from pathlib import Path

import numpy as np
import pytest

from seqvision.data.files.images import read_image
from seqvision.data.files.pixels import fit
from seqvision.inference.inputs import check_pattern, find_inputs, read_inputs, read_lines
from tests.data.making import (
    HEIGHT,
    WIDTH,
    clips_of,
    npz,
    save_animation,
    save_frames,
    save_npz,
    save_png,
    save_video,
    says,
)


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
    np.savez(tmp_path / "i.npz", z=clip)
    paths = find_inputs(f"{tmp_path}/*", of_clips=False)
    assert [p.name for p in paths] == [
        "a.png", "b.gif", "c.gif", "d.mkv", "e.txt", "g.npz", "h.npz", "i.npz",
    ]  # fmt: skip
    shape = (HEIGHT, WIDTH, 3)
    rows = list(read_inputs(paths, shape, False, lambda path: read_image(path, shape, "mixed")))
    found = {Path(name).name: (array, error) for name, array, error, _ in rows}
    assert len(found) == 7 + len(clip)
    for name in ("a.png", "c.gif", "g.npz[0]"):
        np.testing.assert_array_equal(found[name][0], clip[0])
    np.testing.assert_array_equal(found["g.npz[10]"][0], clip[10])
    for name in ("b.gif", "d.mkv"):
        assert found[name] == (None, "a clip; this run reads single images")
    assert "no image" in found["e.txt"][1]
    assert "images are (N, height, width)" in found["h.npz"][1]
    assert found["i.npz"][1] == "no 'images' in it; it has z"


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
        for name, array, error, _ in read_inputs(paths, shape, True, lambda path: np.zeros(1))
    }
    expected = fit(clips[0], 10, 10, 1)
    for name in ("a", "b.mkv", "c.gif", "e.npz[0]"):
        np.testing.assert_array_equal(found[name][0], expected)
    assert [len(found[f"e.npz[{n}]"][0]) for n in range(4)] == [len(clip) for clip in clips]
    assert "a single image; this run reads clips" in found["d.png"][1]
    assert found["f.gif"][0] is None and found["f.gif"][1]
    assert found["g"][0] is None and "no frames" in found["g"][1]


def test_brackets_of_a_name_stand_for_themselves_where_it_is_there(tmp_path: Path) -> None:
    """As a shell does it with names in quotes; where there is no such name, they are a pattern."""
    for name in ("img[1].png", "img1.png", "img2.png", "run[a]/x1.png", "runa/x1.png", "b/[2].png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    def found(pattern: str) -> list[str]:
        paths = find_inputs(f"{tmp_path}/{pattern}", of_clips=False)
        return [str(path.relative_to(tmp_path)) for path in paths]

    assert found("img[1].png") == ["img[1].png"]
    assert found("img[12].png") == ["img1.png", "img2.png"]
    assert found("run[a]/x[0-9].png") == ["run[a]/x1.png"]
    assert found("run[a]/*") == ["run[a]/x1.png"]
    assert found("*/[2].png") == ["b/[2].png"]
    assert found("**/img[12].png") == ["img1.png", "img2.png"]
    assert found("**/x?.png") == ["run[a]/x1.png", "runa/x1.png"]
    says(lambda: find_inputs(f"{tmp_path}/img[3].png", False), "no file matches")
    says(lambda: find_inputs(f"{tmp_path}/a\0*", False), "no NUL")


def test_the_home_folder_in_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.png").touch()
    assert find_inputs("~/*.png", of_clips=False) == [tmp_path / "a.png"]
    says(lambda: find_inputs("~nouser/*.png", False), "--inputs: '~nouser/*.png'", "is not known")


def test_links_that_lead_round(tmp_path: Path) -> None:
    """Python's `glob` finds a file 41 times through one such link, and does not end with two."""
    for name in ("a/x.png", "b/y.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    (tmp_path / "a" / "to_b").symlink_to(tmp_path / "b")
    assert len(find_inputs(f"{tmp_path}/**/*.png", of_clips=False)) == 3
    for link in (tmp_path / "b" / "to_a", tmp_path / "a" / "loop", tmp_path / "up"):
        link.symlink_to(tmp_path / ("a" if link.name == "to_a" else "."))
        says(lambda: find_inputs(f"{tmp_path}/**/*.png", False), "--inputs: ", "a link to a folder")
    assert len(find_inputs(f"{tmp_path}/*/*.png", of_clips=False)) == 2
    (tmp_path / "self.png").symlink_to(tmp_path / "self.png")
    assert len(find_inputs(f"{tmp_path}/*.png", of_clips=False)) == 1


def test_special_files_are_not_waited_for(tmp_path: Path) -> None:
    for name in ("a.png", "b.gif", "c.npz", "d.mkv", "e.jpg"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "f.png").symlink_to("f.png")
    shape = (4, 4, 1)
    paths = find_inputs(f"{tmp_path}/*", of_clips=False)
    for of_clips in (False, True):
        rows = list(
            read_inputs(paths, shape, of_clips, lambda path: read_image(path, shape, "mixed"))
        )
        assert len(rows) == 6
        assert all(row.array is None and row.error for row in rows)
    for row in read_lines(paths, 8, "auto"):
        assert row.array is None and row.error


def test_no_inputs(tmp_path: Path) -> None:
    says(lambda: find_inputs(f"{tmp_path}", False), "no file matches", f"{tmp_path}/*")
    says(lambda: find_inputs(f"{tmp_path}/*.png", True), "no clip matches")


def test_dark_and_light_of_arrays_and_clips(tmp_path: Path, rng: np.random.Generator) -> None:
    """By the network's background, as for image files, or as asked for."""
    dark = rng.integers(0, 40, (5, 8, 8, 1), np.uint8)
    dark[:, 3:5, 3:5] = 250
    np.savez(tmp_path / "light.npz", images=255 - dark)
    np.savez(tmp_path / "dark.npz", images=dark)
    np.savez(tmp_path / "mixed.npz", images=rng.integers(0, 256, (5, 8, 8, 1), np.uint8))

    def read(name: str, background: str, invert: str) -> np.ndarray:
        rows = read_inputs(
            [tmp_path / name], (8, 8, 1), False, lambda path: dark, background, invert
        )
        return np.stack([row.array for row in rows if row.array is not None])

    for name in ("light.npz", "dark.npz", "mixed.npz"):
        own = np.load(tmp_path / name)["images"]
        for background in ("dark", "light", "mixed"):
            np.testing.assert_array_equal(read(name, background, "never"), own)
            np.testing.assert_array_equal(read(name, background, "always"), 255 - own)
            other = {background, name.removesuffix(".npz")} == {"dark", "light"}
            expected = 255 - own if other else own
            np.testing.assert_array_equal(read(name, background, "auto"), expected)
    clip = clips_of(rng, 2)[0]
    save_animation(tmp_path / "clip.gif", clip[:4, ..., :1])
    shape = (4, HEIGHT, WIDTH, 1)
    [plain], [swapped] = (
        list(read_inputs([tmp_path / "clip.gif"], shape, True, lambda p: dark, "mixed", invert))
        for invert in ("never", "always")
    )
    assert plain.array is not None and swapped.array is not None
    np.testing.assert_array_equal(swapped.array, 255 - plain.array)


def test_arrays_under_the_names_of_others(tmp_path: Path, rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (2, 6, 5), np.uint8)
    np.savez(tmp_path / "a.npz", x_train=images, y_train=[0, 1], x_test=images[:1], y_test=[0])
    np.savez(tmp_path / "b.npz", images)
    for name, expected in (
        ("a.npz", ["a.npz:x_train[0]", "a.npz:x_train[1]", "a.npz:x_test[0]"]),
        ("b.npz", ["b.npz[0]", "b.npz[1]"]),
    ):
        rows = list(read_inputs([tmp_path / name], (6, 5, 1), False, lambda path: images[0]))
        assert [Path(row.name).name for row in rows] == expected
        np.testing.assert_array_equal(rows[1].array, images[1][..., None])


@pytest.mark.parametrize(
    ("size", "parts"),
    [
        (400, [".reshape(-1, 20, 20)"]),
        (784, [".reshape(-1, 28, 28)"]),
        (3072, [".reshape(-1, 32, 32, 3)", ".reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)"]),
        (24, [".reshape(-1, height, width)", "is 24"]),
    ],
)
def test_flat_images_are_told_their_shape(tmp_path: Path, size: int, parts: list[str]) -> None:
    np.savez(tmp_path / "x.npz", images=np.zeros((4, size), np.uint8), labels=[0, 1, 0, 1])
    says(lambda: npz(tmp_path / "x.npz"), *parts)
    [row] = read_inputs([tmp_path / "x.npz"], (8, 8, 1), False, lambda path: np.zeros(1))
    assert all(part in str(row.error) for part in parts)


@pytest.mark.parametrize(
    "pattern",
    ["{0}/a.png,{0}/b.png", "{0}/a.png {0}/b.png", "['{0}/a.png', '{0}/b.png']", "{0}/a.png,x.png"],
)
def test_a_list_of_inputs_is_no_pattern(tmp_path: Path, pattern: str) -> None:
    for name in ("a.png", "b.png"):
        save_png(tmp_path / name, np.zeros((8, 8, 1), np.uint8))
    says(lambda: check_pattern(pattern.format(tmp_path)), "is a list, and one pattern is taken")
    save_png(tmp_path / "with, comma.png", np.zeros((8, 8, 1), np.uint8))
    check_pattern(f"{tmp_path}/with, comma.png")


@pytest.mark.parametrize(
    ("of_clips", "inside", "pattern"),
    [(False, "a.png", "/*'"), (False, "one/a.png", "/*/*'"), (True, "a.txt", "/*'")],
)
def test_a_folder_is_no_pattern(tmp_path: Path, of_clips: bool, inside: str, pattern: str) -> None:
    (tmp_path / inside).parent.mkdir(exist_ok=True)
    (tmp_path / inside).touch()
    wanted = f"such as '{tmp_path}{pattern}"
    says(lambda: find_inputs(str(tmp_path), of_clips), "matches", wanted)


@pytest.mark.parametrize("pattern", ["old digits/*.png", "old, new", "old/a.png nowhere"])
def test_a_path_with_a_space_is_no_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    """A part of it may be there as well."""
    monkeypatch.chdir(tmp_path)
    save_png(tmp_path / "old/a.png", np.zeros((8, 8, 1), np.uint8))
    says(lambda: check_pattern(pattern), f"no file matches '{pattern}'")


def test_an_array_in_a_npy_file_is_a_clip_or_an_image(tmp_path: Path) -> None:
    file, image = tmp_path / "x.npy", tmp_path / "y.npy"
    pixels = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
    np.save(file, pixels)
    np.save(image, pixels[1])
    of_image, found = read_inputs(
        [file, image], (8, 8, 1), False, lambda path: read_image(path, (8, 8, 1), "mixed")
    )
    [of_clip] = read_inputs([file], (3, 8, 8, 1), True, lambda path: np.zeros(1))
    [of_lines] = read_lines([file], 8, "auto")
    assert "a clip; this run reads single images" in str(of_image.error)
    np.testing.assert_array_equal(found.array, pixels[1, ..., None])
    np.testing.assert_array_equal(of_clip.array, pixels[..., None])
    assert "lines are read from pictures" in str(of_lines.error)
