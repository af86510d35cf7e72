"""The folder of an export: where it may be, and that it is written whole or not at all."""

from pathlib import Path

import pytest

from seqvision.errors import UserError
from seqvision.exporters.output_folder import checked_folder, write_folder


def test_an_empty_folder_may_be_there_also_behind_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    assert checked_folder(str(tmp_path / "link")) == tmp_path / "empty"
    write_folder(tmp_path / "empty", lambda folder: (folder / "file").write_text("new"))
    assert (tmp_path / "link/file").read_text() == "new"
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert checked_folder(".") == tmp_path / "here"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert checked_folder("~/new") == tmp_path / "new"


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("", "--output: missing"),
        ("full", "is there already"),
        ("full/file", "is there already"),
        ("dangling", "is there already"),
        ("circle", "is there already"),
        ("none/new", "does not exist; make it first"),
        ("full/file/new", "does not exist; make it first"),
        ("x" * 300, "File name too long"),
        ("a\0b", "NUL"),
    ],
)
def test_where_it_may_not_be(tmp_path: Path, output: str, message: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("mine")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(UserError, match=message):
        checked_folder(output and str(tmp_path / output))


def test_a_place_that_cannot_be_written_is_named_as_it_was_given() -> None:
    target = checked_folder("/proc/exported")
    with pytest.raises(UserError, match=r"^/proc/exported: No such file or directory; check it"):
        write_folder(target, lambda folder: None)
    with pytest.raises(UserError, match=r"--output: /proc is where a disk is mounted|is there al"):
        checked_folder("/proc")


@pytest.mark.parametrize("error", [OSError("disk"), KeyboardInterrupt(), BrokenPipeError()])
def test_nothing_is_left(tmp_path: Path, error: BaseException) -> None:
    def write(folder: Path) -> None:
        (folder / "file").write_text("half")
        assert len(list(tmp_path.iterdir())) == 1
        raise error

    is_ours = type(error) is OSError
    with pytest.raises(UserError if is_ours else type(error)):
        write_folder(tmp_path / "new", write)
    assert not list(tmp_path.iterdir())


def test_what_came_meanwhile_stays(tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        (tmp_path / "new").mkdir()
        (tmp_path / "new/file").write_text("theirs")

    with pytest.raises(UserError, match=rf"^{tmp_path / 'new'}: Directory not empty"):
        write_folder(tmp_path / "new", write)
    assert list(tmp_path.iterdir()) == [tmp_path / "new"]
