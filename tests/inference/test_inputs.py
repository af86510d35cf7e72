"""Files to predict on."""

from pathlib import Path

import numpy as np
import pytest

from seqvision.data.files.images import read_image
from seqvision.data.files.pixels import fit
from seqvision.inference.inputs import find_inputs, read_inputs
from tests.data.making import (
    HEIGHT,
    WIDTH,
    clips_of,
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
    found = {Path(name).name: (array, error) for name, array, error in rows}
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
        for name, array, error in read_inputs(paths, shape, True, lambda path: np.zeros(1))
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


def test_no_inputs(tmp_path: Path) -> None:
    says(lambda: find_inputs(f"{tmp_path}", False), "no file matches", f"{tmp_path}/*")
    says(lambda: find_inputs(f"{tmp_path}/*.png", True), "no clip matches")


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
