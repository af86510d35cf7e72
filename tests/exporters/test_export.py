"""`--mode=export` writes files that are equal to the run, or nothing."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import onnxruntime
import pytest
from jax import export as jax_export
from ml_collections import ConfigDict

from seqvision import export
from seqvision.config.validation import validate
from seqvision.data.alphabet import Alphabet
from seqvision.data.preprocessing import to_unit_range
from seqvision.errors import UserError
from seqvision.exporters import artefacts
from seqvision.exporters.check import Examples, Found
from seqvision.exporters.scoring import ClassScoring, Scoring, TextScoring
from seqvision.onnx.graph import Graph
from seqvision.runs.saved_run import load_run
from seqvision.runs.trained_data import load_trained_on
from seqvision.runtime import progress
from seqvision.train import train_and_evaluate

FILES = {
    "network.onnx", "network.int8.onnx", "step.onnx", "step.int8.onnx", "network.stablehlo",
    "network.json", "config.json", "README.md",
}  # fmt: skip


def test_all_files_of_a_classifier(
    run_of_rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = export.export_run(run_of_rows, str(tmp_path / "out")).folder
    assert {path.name for path in folder.iterdir()} == FILES
    assert not list(tmp_path.glob(".*"))  # Nothing half-written beside it.
    run = load_run(run_of_rows)
    images = np.random.default_rng(1).integers(0, 256, (5, 8, 8, 1), np.uint8)
    params = jax.tree.map(jnp.asarray, run.params)
    expected = np.asarray(run.model.apply({"params": params}, to_unit_range(jnp.asarray(images))))
    session = onnxruntime.InferenceSession(folder / "network.onnx")
    np.testing.assert_allclose(session.run(None, {"inputs": images})[0], expected, atol=1e-5)
    program = jax_export.deserialize(bytearray((folder / "network.stablehlo").read_bytes()))
    np.testing.assert_allclose(np.asarray(program.call(images)), expected, atol=1e-5)
    facts = json.loads((folder / "network.json").read_text(encoding="utf-8"))
    assert facts["classes"] == list(run.data.class_names) and facts["steps"] == "rows"
    assert [part["name"] for part in facts["memory"]] == ["c_0", "h_0"]
    status = json.loads((run_of_rows / "status.json").read_text())
    accuracy = status["metrics"]["test"]["accuracy"]
    card = (folder / "README.md").read_text()
    assert f"value: {accuracy:.6f}" in card
    assert f"JAX has accuracy {accuracy:.2%}" in capsys.readouterr().out
    assert "Trained by seqvision 0.2.0 on" in card and "tags: [seqvision, lstm, onnx]" in card


def test_a_reader(line_run: Path, tmp_path: Path) -> None:
    folder = export.export_run(line_run, str(tmp_path / "out"), int8=False).folder
    assert {path.name for path in folder.iterdir()} == {n for n in FILES if "int8" not in n}
    facts = json.loads((folder / "network.json").read_text())
    assert facts["symbols"] == [" ", "a", "b"] and facts["steps"] == "columns"
    status = json.loads((line_run / "status.json").read_text())
    rate = status["metrics"]["test"]["cer"]
    assert f"value: {rate:.6f}" in (folder / "README.md").read_text()


def test_a_file_that_is_not_equal_is_an_error_and_nothing_is_written(
    run_of_rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = str(tmp_path / "out")
    network = artefacts.whole_network

    def wrong(model: object, params: dict, shape: tuple[int, ...]) -> object:
        bias = params["classifier"]["bias"] + np.float32(1e-3)
        other = params | {"classifier": params["classifier"] | {"bias": bias}}
        return network(model, other, shape)

    with monkeypatch.context() as patch:
        patch.setattr(artefacts, "whole_network", wrong)
        with pytest.raises(UserError, match=r"network.onnx: its logits differ .* by up to 0.001"):
            export.export_run(run_of_rows, output)
        assert not list(tmp_path.iterdir())
        export.export_run(run_of_rows, output, check=False)
    measure = Examples.measure
    monkeypatch.setattr(
        Examples,
        "measure",
        lambda self, engine, name: Found(measure(self, engine, name).difference, 0.0, 0),
    )
    with pytest.raises(UserError, match=r"network.int8.onnx: 0.00% where JAX has"):
        export.export_run(run_of_rows, str(tmp_path / "other"))


@pytest.mark.parametrize(
    ("scoring", "better", "worse"),
    [(ClassScoring(), 0.9, 0.4), (TextScoring(Alphabet(("a",))), 0.1, 0.9)],
)
def test_8_bits_that_are_better_are_no_loss(scoring: Scoring, better: float, worse: float) -> None:
    file = artefacts.Artefact("network.int8.onnx", b"", is_int8=True)
    artefacts._check(file, Found(0.3, better, 9), (better + worse) / 2, scoring)
    for score in (worse, float("nan")):
        with pytest.raises(UserError, match=r"a loss of 1\.00% is allowed"):
            artefacts._check(file, Found(0.3, score, 9), (better + worse) / 2, scoring)


def test_bfloat16_is_exported_in_float32(
    tiny_config: ConfigDict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_config.duration = tiny_config.log_every = "2 steps"
    tiny_config.model.compute_dtype = "bfloat16"
    tiny_config.model.bidirectional = True
    tiny_config.model.gate_init = "chrono"
    train_and_evaluate(tiny_config, tmp_path / "run")
    folder = export.export_run(tmp_path / "run", str(tmp_path / "out"), int8=False).folder
    assert "trained in bfloat16; exported and compared in float32" in capsys.readouterr().out
    assert not (folder / "step.onnx").exists()  # It reads in both directions.


def test_bad_calls_are_one_line(run_of_rows: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="--onnxruntime_web: missing; the page runs by"):
        export.export_run(run_of_rows, str(tmp_path / "out"), onnxruntime_web="")
    for output, message in [
        ("", "--output: missing"),
        (str(tmp_path / "file"), "is there already"),
        (str(run_of_rows), "is there already"),
        (str(tmp_path / "no" / "folder"), "does not exist; make it first"),
    ]:
        with pytest.raises(UserError, match=message):
            export.export_run(run_of_rows, output)
    with pytest.raises(UserError, match="--split: 'tset' is not known"):
        export.export_run(run_of_rows, str(tmp_path / "out"), "tset")
    with pytest.raises(UserError, match="no run here"):
        export.export_run(tmp_path / "norun", str(tmp_path / "out"))
    with pytest.raises(UserError, match="other_set"):
        data = {"path": str(tmp_path / "other_set.npz")}
        export.export_run(run_of_rows, str(tmp_path / "out"), data=data)
    assert (tmp_path / "file").read_text() == "mine" and not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".*"))


def test_8_bits_of_a_gru_are_left_out(
    tiny_config: ConfigDict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their weights would have 32 bits all the same."""
    tiny_config.duration = tiny_config.log_every = "2 steps"
    tiny_config.model.hidden_size, tiny_config.model.cell = 40, "gru"
    train_and_evaluate(tiny_config, tmp_path / "run")
    folder = export.export_run(tmp_path / "run", str(tmp_path / "out")).folder
    assert {path.name for path in folder.iterdir()} == {n for n in FILES if "int8" not in n}
    assert "step.int8.onnx is left out: it has " in capsys.readouterr().out


def test_a_file_that_onnxruntime_refuses_is_an_error_without_a_check(
    run_of_rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: object) -> Graph:
        """That of pixels as it was, which onnx's own checker lets pass."""
        graph = Graph("wrong")
        steps = graph.reshape(graph.input("inputs", "uint8", ("batch", 8, 8, 1)), 0, 64)
        zero, one = np.array(0, np.int64), np.array(1, np.int64)
        numbers = graph.op("Range", zero, graph.squeeze(graph.size(steps, 1), 0), one)
        graph.output("logits", "int64", (64,), numbers)
        return graph

    monkeypatch.setattr(artefacts, "whole_network", wrong)
    with pytest.raises(UserError, match=r"^network.onnx: onnxruntime refuses it \(.*Range"):
        export.export_run(run_of_rows, str(tmp_path / "out"), check=False)
    assert not list(tmp_path.iterdir())


def test_the_time_left_is_said(
    run_of_rows: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(progress, "_SECONDS", 0.0)
    export.export_run(run_of_rows, str(tmp_path / "out"), int8=False)
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("checking")]
    assert said[0].startswith("checking JAX  6% of all  ETA 0:")  # One of 4 batches, of 4 passes.
    assert said[-1] == "checking network.stablehlo  100% of all  ETA 0:00"


def test_a_nan_anywhere_is_a_difference(run_of_rows: Path, tiny_config: ConfigDict) -> None:
    run, settings = load_run(run_of_rows), validate(tiny_config)
    split = load_trained_on(run, settings).split("test")
    examples = Examples(
        run.model, run.params, split, run.data.input_shape, batch_size=10, num_files=1
    )
    assert len(examples.batches) > 2
    count = iter(range(len(examples.batches)))

    def engine(inputs: np.ndarray, lengths: np.ndarray | None) -> np.ndarray:
        number = next(count)
        logits = examples.batches[number].logits[:, 0].copy()
        logits[0, 0] = np.nan if number == 1 else logits[0, 0]
        return logits

    assert np.isnan(examples.measure(engine, "network.onnx").difference)
