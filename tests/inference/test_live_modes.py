"""`--mode=read` of images, `--mode=evaluate --decide`, and `calibrate` on the run's own data."""

import re
from pathlib import Path

import numpy as np
import pytest
from ml_collections import ConfigDict

from seqvision import StreamClassifier
from seqvision.errors import UserError
from seqvision.evaluate import evaluate_run
from seqvision.inference.belief_screen import BeliefScreen
from seqvision.inference.predictor import Predictor
from seqvision.read import _classify, read_files
from seqvision.train import train_and_evaluate
from tests.inference.classifier_runs import examples, run_of


@pytest.fixture
def workdir(tiny_config: ConfigDict, tmp_path: Path) -> Path:
    assert train_and_evaluate(tiny_config, tmp_path / "run").status == "done"
    return tmp_path / "run"


def test_a_run_decides(
    workdir: Path,
    tiny_config: ConfigDict,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One run for all, since its training is most of the time."""
    capsys.readouterr()
    images = np.random.default_rng(2).integers(0, 255, (2, 8, 8), np.uint8)
    np.savez(tmp_path / "two.npz", images=images)
    probabilities = [p["probabilities"] for p in Predictor.from_run(workdir)(images)]

    # Without a rule it is decided at the end.
    assert read_files(workdir, f"{tmp_path}/two.npz", "never") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 * (1 + 8 + 1)
    for block, expected in zip((lines[:10], lines[10:]), probabilities, strict=True):
        winner = expected.argmax()
        assert block[8] == (f"row     8  '{winner}'  {expected[winner]:.2%}  decided '{winner}'")
        assert [line.startswith("row") for line in block] == [False, *[True] * 8, False]
        assert not any("decided" in line for line in block[1:8])
        assert block[9] == f"decided  '{winner}'  after 8 of 8 rows"

    # With a rule that always holds, at once; bars on a terminal.
    monkeypatch.setattr(BeliefScreen, "fits", lambda: True)
    monkeypatch.setattr("seqvision.inference.belief_screen._SECONDS", 0.0)
    assert read_files(workdir, f"{tmp_path}/two.npz", "never", decide="margin:1e-9") == 0
    out = capsys.readouterr().out
    assert len(re.findall(r"decided  '\d'  after 1 of 8 rows", out)) == 2
    assert out.count("\x1b[5A") == 2 * 7  # Four bars and a note, redrawn in place.
    with pytest.raises(UserError, match=r"^--decide: decision rule 'sure' is no"):
        read_files(workdir, f"{tmp_path}/two.npz", "never", decide="sure")

    curve = StreamClassifier.from_run(workdir).calibrate()
    metrics = evaluate_run(tiny_config, workdir, "validation", decide="probability")
    report = capsys.readouterr().out
    assert curve.points[-1].accuracy == pytest.approx(metrics.score)
    assert f"read all   100.0%     0.0%           {metrics.score:>8.2%}" in report
    assert curve.rule is None or f"--decide={curve.rule} (accuracy" in report
    for wrong, message in (
        ("sure", "--decide: decision rule: 'sure' is not known; choose probability or margin"),
        ("probability:0.9", "--decide: 'probability:0.9' has a threshold, and --mode=evaluate"),
    ):
        with pytest.raises(UserError, match=rf"^{message}"):
            evaluate_run(tiny_config, workdir, "test", decide=wrong)


def test_clips_are_read_as_far_as_the_window(
    rng: np.random.Generator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = run_of("frames", window=4)
    np.savez(tmp_path / "clips.npz", images=examples(rng, trained, 1))
    assert _classify(trained, [tmp_path / "clips.npz"], "never", None) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.startswith("frame") for line in lines] == [False, *[True] * 4, False, False]
    assert lines[-2].endswith("after 4 of 4 frames")
    assert lines[-1] == "not read: 2 more frames, behind the window (config.data.window)"
    (tmp_path / "no.npz").write_bytes(b"no array")
    assert _classify(trained, [tmp_path / "no.npz"], "never", None) == 1
    assert "unreadable: " in capsys.readouterr().err


@pytest.mark.parametrize("sequence", ["columns", "pixels"])
def test_an_image_step_by_step_is_the_image(rng: np.random.Generator, sequence: str) -> None:
    trained = run_of(sequence)
    classifier, image = StreamClassifier(trained), examples(rng, trained, 1)[0]
    pushes, left_out = classifier.pushes(image)
    assert (len(pushes), left_out) == (classifier.num_steps, 0)
    beliefs = [belief for steps in pushes for belief in classifier.push(steps)]
    [expected] = Predictor(trained)([image])
    np.testing.assert_allclose(beliefs[-1].probabilities, expected["probabilities"], atol=1e-5)


def test_a_run_that_reads_text_decides_on_no_class(line_run: Path, line_images: Path) -> None:
    with pytest.raises(UserError, match=r"--decide: it has no effect on .*, which reads text"):
        read_files(line_run, f"{line_images}/0.png", "auto", decide="margin:0.5")
