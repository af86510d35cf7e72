"""Images of lines from files: predicted into files, and read live."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seqvision import predict, read
from seqvision.data.sources.line_reading import read_line
from seqvision.errors import UserError
from seqvision.inference.transcriber import Transcriber
from seqvision.predict import predict_files
from seqvision.read import read_files
from seqvision.runs.saved_run import load_run
from tests.inference.lines import HEIGHT, TEXTS, drawn
from tests.web.runs import classifier


def test_predictions_for_files(
    line_run: Path, line_images: Path, transcriber: Transcriber, tmp_path: Path
) -> None:
    images = shutil.copytree(line_images, tmp_path / "images")
    (images / "6.png").write_bytes(b"no image")
    output = tmp_path / "texts.jsonl"
    assert predict_files(line_run, str(images / "*.png"), str(output), "auto") == 1
    rows = [json.loads(row) for row in output.read_text().splitlines()]
    whole = list(transcriber([drawn(text) for text in TEXTS]))
    assert [row["text"] for row in rows[:-1]] == [line["text"] for line in whole]
    assert [row["ends"] for row in rows[:-1]] == [line["ends"].tolist() for line in whole]
    assert [row["doubtful"] for row in rows] == [
        None if row["text"] or row["error"] else "nothing was read in it" for row in rows
    ]
    assert rows[-1]["text"] is None
    assert "no image" in rows[-1]["error"]


def test_reading_images_live(
    line_run: Path,
    transcriber: Transcriber,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    big = Image.fromarray(255 - drawn("bab a")).resize((2 * 44, 2 * 16))
    big.save(tmp_path / "0 big.png")
    Image.new("L", (50, 16), 255).save(tmp_path / "1 blank.png")
    (tmp_path / "2 broken.png").write_bytes(b"")
    assert read_files(line_run, str(tmp_path / "*.png"), "auto") == 2
    line = read_line(tmp_path / "0 big.png", 16)
    assert line.shape == (16, 44, 1)
    [whole] = transcriber([line])
    printed, errors = capsys.readouterr()
    assert printed.splitlines()[-1] == f"text  {whole['text']}"
    assert sum("begun " in line for line in printed.splitlines()) == len(whole["text"]) > 1
    assert [line.split(": ")[2] for line in errors.splitlines()] == [
        "no ink stands out from its paper",
        "an empty file",
    ]
    # On a terminal.
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    assert read_files(line_run, str(tmp_path / "0*.png"), "auto") == 0
    printed, _ = capsys.readouterr()
    assert printed.endswith(f"text  {whole['text']}\n")
    assert printed.index("\x1b[?25l") < printed.index("█") < printed.index("\x1b[?25h")


def test_lines_are_brought_to_the_scale_of_training(
    line_run: Path,
    transcriber: Transcriber,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    looks = load_run(line_run).data.looks
    assert looks is not None
    assert looks.height == HEIGHT
    assert looks.size.most == 12  # The letter b.
    fitting = tmp_path / "0.png"
    Image.fromarray(255 - drawn("bb bb")).save(fitting)
    wide = tmp_path / "1.png"
    Image.fromarray(np.pad(255 - drawn("bb bb"), ((40, 90), (30, 30)), constant_values=255)).save(
        wide
    )
    whole, far = (read_line(path, HEIGHT, looks=looks) for path in (fitting, wide))
    np.testing.assert_array_equal(whole, read_line(fitting, HEIGHT))
    assert (far > 127).any(axis=1).sum() > 3 * (read_line(wide, HEIGHT) > 127).any(axis=1).sum()
    for to_scale, line in ((True, far), (False, read_line(wide, HEIGHT))):
        [text] = [row["text"] for row in transcriber([line])]
        output = tmp_path / "texts.jsonl"
        assert predict_files(line_run, str(wide), str(output), "auto", to_scale=to_scale) == 0
        assert json.loads(output.read_text())["text"] == text
        capsys.readouterr()
        assert read_files(line_run, str(wide), "auto", to_scale=to_scale) == 0
        assert capsys.readouterr().out.endswith(f"text  {text}\n")


def test_a_pattern_without_a_match_is_refused_before_the_run_is_loaded(tmp_path: Path) -> None:
    pattern = str(tmp_path / "*.png")
    with pytest.raises(UserError, match="no file matches"):
        predict_files(tmp_path, pattern, "", "auto")
    with pytest.raises(UserError, match="no file matches"):
        read_files(tmp_path, pattern, "auto")


def test_a_classifier_knows_no_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, files in (
        (predict, lambda: predict_files(Path("run"), __file__, "", "auto", to_scale=False)),
        (read, lambda: read_files(Path("run"), __file__, "auto", to_scale=False)),
    ):
        monkeypatch.setattr(module, "load_run", lambda workdir, seed: classifier())
        with pytest.raises(UserError, match=r"^--to_scale: it has no effect on runs/made, which"):
            files()
