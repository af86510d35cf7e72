"""A set of the user's own, in every form it may have: trained, evaluated and predicted alike."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ml_collections import ConfigDict

from configs import default
from seqvision.config.validation import validate
from seqvision.data.from_config import load_dataset
from seqvision.errors import UserError
from seqvision.evaluate import evaluate_run
from seqvision.inference import input_processes
from seqvision.inference.input_processes import file_processes
from seqvision.models import recurrent
from seqvision.models.execution.choose import choose_execution
from seqvision.predict import predict_files
from seqvision.train import train_and_evaluate
from tests.data.making import save_animation, save_frames, save_npz, save_video
from tests.same_run import assert_same_run, interrupt_at

CLASSES = ("nach unten", "vers la gauche", "右へ")
HEIGHT, WIDTH = 8, 12
FORMS = ("npz", "frames", "videos", "gifs")
MOVES = {0: (1, 0), 1: (0, -2), 2: (0, 2)}


def clip_of(rng: np.random.Generator, label: int) -> np.ndarray:
    """A coloured square on a dim ground moves down, left or right, for 3 to 8 frames."""
    clip = np.zeros((int(rng.integers(3, 9)), HEIGHT, WIDTH, 3), np.uint8)
    clip[:] = rng.integers(0, 60, 3)
    colour, start = rng.integers(120, 256, 3), rng.integers(0, (HEIGHT, WIDTH))
    for number, frame in enumerate(clip):
        row, column = start + number * np.array(MOVES[label])
        frame[np.ix_(np.arange(row, row + 4) % HEIGHT, np.arange(column, column + 4) % WIDTH)] = (
            colour
        )
    return clip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The set as set.npz, frames/, videos/ and gifs/, with train and test given."""
    home, rng = tmp_path_factory.mktemp("own"), np.random.default_rng(3)
    stored: dict[str, np.ndarray] = {"class_names": np.array(CLASSES)}
    for split, count in (("train", 40), ("test", 20)):
        # In the order in which folders are read: class by class.
        labels = np.repeat(np.arange(3), count)
        clips = [clip_of(rng, label) for label in labels]
        save_npz(home / "part.npz", clips, labels.tolist())
        with np.load(home / "part.npz") as part:
            stored |= {f"{split}_{name}": part[name] for name in part.files}
        for number, (clip, label) in enumerate(zip(clips, labels, strict=True)):
            place = Path(split) / CLASSES[label]
            save_frames(home / "frames" / place / f"clip{number}", clip)
            save_video(home / "videos" / place / f"clip{number}.mkv", clip)
            save_animation(home / "gifs" / place / f"clip{number}.gif", clip)
    (home / "part.npz").unlink()
    np.savez(home / "set.npz", **stored)
    return home


def config_of(home: Path, form: str) -> ConfigDict:
    config = default.get_config()
    config.data.source = "npz" if form == "npz" else "folders"
    config.data.path = str(home / ("set.npz" if form == "npz" else form))
    config.data.batch_size = 16
    config.data.eval_batch_size = 32
    config.model.sequence = "frames"
    config.model.cnn_channels = (8,)
    config.model.hidden_size = 16
    config.model.execution = "scan"
    config.model.recurrent_init = "identity"  # An orthogonal matrix takes seconds to compile.
    config.optimizer.learning_rate = 1e-2
    config.optimizer.clip_norm = 1.0
    config.duration = "200 steps"
    config.augment.max_shift = 2.0
    config.evaluate_every = config.checkpoint.every = "never"
    return config


@pytest.fixture(scope="module")
def runs(home: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    workdirs = {form: tmp_path_factory.mktemp(form) for form in ("npz", "gifs")}
    for form, workdir in workdirs.items():
        config = config_of(home, form)
        if form == "gifs":  # Interrupted and resumed, which must not show.
            with pytest.MonkeyPatch.context() as patch:
                interrupt_at(patch, 100)
                assert train_and_evaluate(config, workdir).status == "interrupted"
        assert train_and_evaluate(config, workdir).status == "done"
    return workdirs


def test_two_forms_train_alike(runs: dict[str, Path]) -> None:
    metrics = [
        json.loads(line) for line in (runs["npz"] / "metrics.jsonl").read_text().splitlines()
    ]
    assert metrics[-1]["split"] == "test"
    assert metrics[-1]["count"] == 60
    assert metrics[-1]["accuracy"] > 0.9  # Chance is 1/3.
    assert_same_run(runs["gifs"], runs["npz"])


def test_every_form_is_the_same_data(home: Path) -> None:
    read = {form: load_dataset(validate(config_of(home, form))) for form in FORMS}
    for form, dataset in read.items():
        assert dataset.class_names == read["npz"].class_names, form
        for name, split in read["npz"].splits.items():
            for key, array in split.arrays.items():
                np.testing.assert_array_equal(dataset.splits[name].arrays[key], array, form)


def test_every_form_evaluates_the_same_run(
    home: Path, runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = config_of(home, "npz")
    output = tmp_path / "predictions.jsonl"
    metrics = evaluate_run(config, runs["npz"], "test", str(output))
    assert "右へ" in capsys.readouterr().out
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    right = [row["label"] == row["truth"] for row in rows]
    assert np.mean(right) == pytest.approx(metrics.accuracy)
    assert all(row["windows"][0]["frames"][0] == 0 for row in rows)
    assert rows[0]["file"].endswith("test_images[0]")
    other = config_of(home, "frames")
    with pytest.raises(UserError, match="source was 'npz' and is 'folders'"):
        evaluate_run(other, runs["npz"], "test")
    assert evaluate_run(config_of(home, "gifs"), runs["gifs"], "test") == metrics


def test_evaluation_is_executed_as_asked(
    home: Path, runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, asked = config_of(home, "npz"), set()

    def choose(execution: str, *rest: Any) -> str:
        asked.add(execution)
        return choose_execution(execution, *rest)

    monkeypatch.setattr(recurrent, "choose_execution", choose)
    losses = []
    for execution, seed in (("auto", None), ("scan", None), ("fused", config.seed)):
        config.model.execution = execution
        asked.clear()
        losses.append(evaluate_run(config, runs["npz"], "test", seed=seed).loss)
        assert asked == {execution}
    assert losses[1:] == pytest.approx([losses[0]] * 2, rel=1e-4)
    config.model.execution = "cudnn"
    with pytest.raises(UserError, match="cudnn needs an NVIDIA GPU, and JAX sees none; choose au"):
        evaluate_run(config, runs["npz"], "test")


def test_every_form_is_predicted_alike(
    home: Path, runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them in several processes."""
    monkeypatch.setattr(input_processes, "usable_cores", lambda: 2)
    predicted = {}
    for form, pattern in {
        "npz": str(home / "test.npz"),
        "frames": str(home / "frames/test/*/*"),
        "videos": str(home / "videos/test/*/*.mkv"),
        "gifs": str(home / "gifs/test/**/*.gif"),
    }.items():
        if form == "npz":
            with np.load(home / "set.npz") as whole:
                np.savez(pattern, images=whole["test_images"], lengths=whole["test_lengths"])
        output = tmp_path / f"{form}.csv"
        with file_processes(1000 if form == "gifs" else 0) as processes:
            arguments = runs["npz"], pattern, str(output), "auto"
            assert predict_files(*arguments, processes=processes) == 0
        with output.open() as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 60
        predicted[form] = sorted(row["probabilities"] for row in rows)
        if form != "npz":
            right = [row["label"] == Path(row["file"]).parent.name for row in rows]
            assert np.mean(right) > 0.9
    assert predicted["frames"] == predicted["videos"] == predicted["gifs"] == predicted["npz"]


def test_an_image_among_clips_is_a_row_with_its_error(
    home: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    frame = next((home / "frames/test").glob("*/*/*.png"))
    output = tmp_path / "out.jsonl"
    assert predict_files(runs["npz"], str(frame), str(output), "auto") == 1
    row = json.loads(output.read_text())
    assert row["error"].startswith("a single image; this run reads clips")
    assert row["label"] is None


def test_windows_of_longer_clips(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = config_of(home, "npz")
    config.data.window, config.data.window_stride = 3, 2
    config.data.validation_fraction = 0.0
    config.duration = "1 step"
    config.augment.max_shift = 0.0
    assert train_and_evaluate(config, tmp_path / "run").status == "done"
    capsys.readouterr()
    output = tmp_path / "predictions.jsonl"
    evaluate_run(config, tmp_path / "run", "test", str(output))
    assert "accuracy per window" in capsys.readouterr().out
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    longest = max(rows, key=lambda row: len(row["windows"]))
    assert [window["frames"] for window in longest["windows"]] == [[0, 3], [2, 5], [4, 7], [5, 8]]
    mean = np.mean([window["probabilities"] for window in longest["windows"]], axis=0)
    np.testing.assert_allclose(mean, longest["probabilities"], atol=1e-5)
