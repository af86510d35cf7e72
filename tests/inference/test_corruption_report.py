"""`--mode=evaluate --corrupt`: errors as a `Predictor` makes them, the table, mCE, refusals."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from ml_collections import ConfigDict
from rapidfuzz.distance import Levenshtein

from seqvision.config.validation import validate
from seqvision.data.corruptions import STRENGTHS
from seqvision.data.dataset import ArraySplit
from seqvision.data.from_config import load_dataset
from seqvision.errors import UserError
from seqvision.evaluate import evaluate_run
from seqvision.inference.corruption_table import (
    CorruptionTable,
    check_layout,
    corruption_errors,
    corruption_table,
)
from seqvision.inference.predictor import Predictor
from seqvision.inference.transcriber import Transcriber
from seqvision.runs.saved_run import load_run
from seqvision.runtime.progress import Progress
from seqvision.tasks.classification_metrics import ClassificationMetrics
from seqvision.train import train_and_evaluate
from tests.data import slow_corruptions as slow
from tests.data.test_corrupted_split import streamed
from tests.inference.lines import config_of
from tests.inference.test_stream_classifier import CLASSES, run_of


def test_the_mean_corruption_error() -> None:
    """By hand: CE 0.6 / 1.2 and 0.9 / 0.6, of which the mean is (0.5 + 1.5) / 2."""
    table = CorruptionTable(0.01, {"drop": (0.1, 0.2, 0.3), "swap": (0.2, 0.3, 0.4)})
    reference = CorruptionTable(0.02, {"drop": (0.3, 0.4, 0.5), "swap": (0.1, 0.2, 0.3)})
    each, mean = corruption_errors(table, reference)
    assert each == {"drop": pytest.approx(0.5), "swap": pytest.approx(1.5)}
    assert mean == pytest.approx(1.0)
    assert table.mean_error == pytest.approx(0.25)
    flawless = dataclasses.replace(reference, errors=reference.errors | {"swap": (0.0, 0.0, 0.0)})
    assert corruption_errors(table, flawless) == ({"drop": pytest.approx(0.5), "swap": None}, None)


def test_clips_streamed_and_in_other_batches_have_the_same_errors(
    rng: np.random.Generator,
) -> None:
    trained = run_of("frames", window=4, cnn_channels=(2,))
    inputs = rng.integers(0, 256, (21, 6, 5, 7, 3), np.uint8)
    lengths = rng.integers(1, 7, 21).astype(np.int32)
    inputs[np.arange(6) >= lengths[:, None]] = 0
    labels = rng.integers(0, len(CLASSES), 21).astype(np.int32)
    split, names = ArraySplit(inputs, labels, lengths), ("delay", "drop")
    one = corruption_table(trained, split, names, 21, Progress(1))
    clean = ClassificationMetrics(0.0, 1 - one.clean, 21, ())
    other = corruption_table(trained, streamed(split), names, 8, Progress(1), clean)
    assert other.errors == one.errors
    corrupted = [
        slow.moved("drop", slow.words_of(0, "drop", n, 7), inputs[n], int(lengths[n]), 400)
        for n in range(21)
    ]
    found = [prediction["classes"] for prediction in Predictor(trained)(corrupted)]
    assert one.errors["drop"][-1] == pytest.approx(np.mean(found != labels))
    assert len({*one.errors["drop"], *one.errors["delay"], one.clean}) > 1


def test_a_run_under_corruptions(
    tiny_config: ConfigDict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One run for all, since its training is most of the time."""
    workdir = tmp_path / "run"
    assert train_and_evaluate(tiny_config, workdir).status == "done"
    capsys.readouterr()
    metrics = evaluate_run(
        tiny_config, workdir, "test", corrupt="noise,drop", reference=str(workdir)
    )
    printed = capsys.readouterr().out
    record = json.loads((workdir / "corruptions-test.json").read_text())
    assert list(record["corruptions"]) == ["noise", "drop"]
    assert (record["metric"], record["steps"], record["count"]) == ("error", "rows", 74)
    # Plain evaluation, and a run beside itself.
    assert record["clean_error"] == record["reference_clean_error"] == 1 - metrics.score
    assert record["mce"] == 1.0 and "mean corruption error (mCE)  100.0%" in printed
    assert f"(clean {record['clean_error']:.2%})" in printed

    # The same errors as of images that a loop corrupts.
    split = load_dataset(validate(tiny_config)).split("test")
    clean, predictor = (
        split.read(np.arange(len(split), dtype=np.int32)),
        Predictor.from_run(workdir),
    )
    for name, row in record["corruptions"].items():
        for strength, error in zip(STRENGTHS[name], row["errors"], strict=True):
            images = np.zeros_like(clean["inputs"])
            for number, image in enumerate(clean["inputs"]):
                if name == "drop":
                    words = slow.words_of(0, name, number, 9)
                    rows = slow.moved(name, words, image, 8, strength)
                else:
                    words = slow.words_of(0, name, number, 64).reshape(8, 8, 1)
                    rows = slow.noisy(words, image, 8, strength)
                images[number, : len(rows)] = rows
            found = [prediction["classes"] for prediction in predictor(images)]
            assert error == pytest.approx(np.mean(found != clean["labels"]))
        assert row["mean_error"] == pytest.approx(np.mean(row["errors"]))
        assert row["reference_errors"] == row["errors"]

    shutil.copytree(workdir, tmp_path / "other")
    config = json.loads((workdir / "config.json").read_text())
    config["data"]["test_fraction"] = 0.1
    (tmp_path / "other/config.json").write_text(json.dumps(config))
    cases: tuple[tuple[dict[str, str], str], ...] = (
        ({"corrupt": "fall"}, "^--corrupt: 'fall' is not known; write all, or some of drop,"),
        ({"reference": "run"}, "^--reference: it has no effect without --corrupt; leave it out"),
        ({"corrupt": "all", "reference": f"{tmp_path}/no"}, "^--reference: .*/no: no run here"),
        (
            {"corrupt": "all", "reference": f"{tmp_path}/other"},
            r"^--reference: .*/other was trained on other examples: data.test_fraction was 0.1 and"
            " is 0.2; choose a run on the same data$",
        ),
    )
    for flags, message in cases:
        with pytest.raises(UserError, match=message):
            evaluate_run(tiny_config, workdir, "test", **flags)  # type: ignore[arg-type]


def test_an_image_that_is_one_step_is_refused() -> None:
    with pytest.raises(UserError, match=r"^--corrupt: run reads all of an image as one time step"):
        check_layout(run_of("cnn"))


def test_lines_have_a_cer(
    line_run: Path, line_images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = config_of(line_images.parent)
    evaluate_run(config, line_run, "train", corrupt="delay")
    record = json.loads((line_run / "corruptions-train.json").read_text())
    assert (record["metric"], record["steps"]) == ("cer", "columns")
    assert "reference" not in str(record) and "mCE" not in capsys.readouterr().out
    split, task = load_dataset(validate(config)).split("train"), load_run(line_run).task
    lines = split.read(np.arange(len(split), dtype=np.int32))
    most = lines["inputs"].shape[2]
    corrupted, truths = [], []
    for number, length in enumerate(lines["lengths"].tolist()):
        words = slow.words_of(0, "delay", number, most + 1)
        columns = lines["inputs"][number].swapaxes(0, 1)
        corrupted.append(slow.moved("delay", words, columns, length, 200).swapaxes(0, 1))
        label = lines["labels"][number, : lines["label_lengths"][number]]
        truths.append(task.truth(label))
    read = [line["text"] for line in Transcriber.from_run(line_run)(corrupted)]
    edits = sum(Levenshtein.distance(*pair) for pair in zip(read, truths, strict=True))
    expected = edits / sum(map(len, truths))
    assert record["corruptions"]["delay"]["errors"][-1] == pytest.approx(expected)
