"""`--mode=evaluate --corrupt`: errors as a `Predictor` makes them, the table, mCE, refusals."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
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
from tests.data import slow_corruptions as slow
from tests.data.test_corrupted_split import streamed
from tests.inference.classifier_runs import CLASSES, run_of
from tests.inference.lines import config_of
from tests.reports.parsing import Page


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
    split, names = ArraySplit(inputs, labels, lengths), ("drop",)
    one = corruption_table(trained, split, names, 21, Progress(1))
    clean = ClassificationMetrics(0.0, 1 - one.clean, 21, ())
    other = corruption_table(trained, streamed(split), names, 8, Progress(1), clean)
    assert other.errors == one.errors
    predictor = Predictor(trained)

    def error_of(clips: list[np.ndarray]) -> float:
        found = [prediction["classes"] for prediction in predictor(clips)]
        return float(np.mean(found != labels))

    assert one.clean == pytest.approx(error_of([inputs[n, : lengths[n]] for n in range(21)]))
    words = [slow.words_of(0, "drop", n, 7) for n in range(21)]
    corrupted = [slow.moved("drop", words[n], inputs[n], int(lengths[n]), 400) for n in range(21)]
    assert one.errors["drop"][-1] == pytest.approx(error_of(corrupted))
    assert one.errors["drop"][-1] != one.clean


def test_lines_have_a_cer(
    line_run: Path, line_images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, workdir = config_of(line_images.parent), tmp_path / "run"
    shutil.copytree(line_run, workdir)
    reference = str(line_run)
    (workdir / "report.html").write_text("of before")
    metrics = evaluate_run(config, workdir, "train", corrupt="delay,drop", reference=reference)
    printed = capsys.readouterr().out
    record = json.loads((workdir / "corruptions-train.json").read_text())
    assert [record[name] for name in ("metric", "steps", "count")] == ["cer", "columns", 4]
    # Plain evaluation, and a run beside itself.
    assert record["clean_error"] == record["reference_clean_error"] == metrics.row()["cer"]
    assert record["mce"] == 1.0 and "mean corruption error (mCE)  100.0%" in printed

    # The page of the run, which there was, says the same.
    page = Page((workdir / "report.html").read_text())
    [table] = [table for table in page.tables if table[0][0] == "corruption"]
    for (name, _, *cells), (key, row) in zip(table[1:], record["corruptions"].items(), strict=True):
        means = [row["mean_error"], np.mean(row["reference_errors"])]
        assert (name, *cells[:-1]) == (key, *(f"{e:.2%}" for e in [*row["errors"], *means]))
    assert "Mean corruption error (mCE) 100.0%" in page.text and page.problems == []
    assert "evaluate it again" not in page.text

    # The same errors as in lines that a loop corrupts.
    split, task = load_dataset(validate(config)).split("train"), load_run(workdir).task
    lines, transcriber = split.read(np.arange(4, dtype=np.int32)), Transcriber.from_run(workdir)
    texts = zip(lines["labels"], lines["label_lengths"], strict=True)
    truths = [task.truth(label[:length]) for label, length in texts]
    most = lines["inputs"].shape[2]
    for name, row in record["corruptions"].items():
        for strength, error in zip(STRENGTHS[name], row["errors"], strict=True):
            corrupted = []
            for number, length in enumerate(lines["lengths"].tolist()):
                words = slow.words_of(0, name, number, most + 1)
                columns = lines["inputs"][number].swapaxes(0, 1)
                corrupted.append(slow.moved(name, words, columns, length, strength).swapaxes(0, 1))
            read = [line["text"] for line in transcriber(corrupted)]
            edits = sum(Levenshtein.distance(*pair) for pair in zip(read, truths, strict=True))
            assert error == pytest.approx(edits / sum(map(len, truths)))
        assert row["mean_error"] == pytest.approx(np.mean(row["errors"])) and row["ce"] == 1.0
        assert row["reference_errors"] == row["errors"]


def test_what_has_no_effect_or_cannot_be_compared_is_refused(
    line_run: Path, line_images: Path, tmp_path: Path
) -> None:
    shutil.copytree(line_run, tmp_path / "other")
    path = tmp_path / "other/config.json"
    other = json.loads(path.read_text())
    path.write_text(json.dumps(other | {"data": other["data"] | {"height": 20}}))
    cases: tuple[tuple[str, str, str], ...] = (
        ("fall", "", "^--corrupt: 'fall' is not known; write all, or some of drop,"),
        ("", "run", "^--reference: it has no effect without --corrupt; leave it out"),
        ("all", f"{tmp_path}/no", "^--reference: .*/no: no run here"),
        (
            "all",
            f"{tmp_path}/other",
            "^--reference: .*/other was trained on other examples: data.height was 20 and is 16;"
            " choose a run on the same data$",
        ),
    )
    for corrupt, reference, message in cases:
        with pytest.raises(UserError, match=message):
            evaluate_run(
                config_of(line_images.parent),
                line_run,
                "test",
                corrupt=corrupt,
                reference=reference,
            )
    assert not list(line_run.glob("corruptions*"))
    with pytest.raises(UserError, match=r"^--corrupt: run reads all of an image as one time step"):
        check_layout(run_of("cnn"))
