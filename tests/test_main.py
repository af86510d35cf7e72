"""main.py as its users meet it: a process with arguments, an exit code and two streams."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ml_collections import ConfigDict
from PIL import Image

from seqvision.data.dataset import Dataset
from seqvision.errors import UserError
from seqvision.evaluate import evaluate_run
from seqvision.predict import predict_files
from seqvision.runs.records import read_record
from seqvision.train import train_and_evaluate
from tests.commands import CONFIG, environment, main, main_here
from tests.conftest import as_arguments
from tests.same_run import assert_same_run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--workdir={file}",), "a file stands where a folder is needed"),
        (("--mode=predict", "--inputs=main.py", "--workdir={empty}"), "no run here"),
        (("--mode=evaluate", "--split=tset"), "did you mean 'test'?"),
        (
            (
                "--config.model.sequence=patches",
                "--config.model.patch_size=5",
                "--config.data.cache_dir={cache}",
                "--mode=explain",
            ),
            "patches of 5x5 do not tile images of 28x28",
        ),
    ],
)
def test_bad_input_is_one_line(
    data_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    (tmp_path / "file").write_text("")
    places = {"file": tmp_path / "file", "empty": tmp_path / "empty", "cache": data_home / "cache"}
    monkeypatch.setenv("TFDS_DATA_DIR", str(data_home / "tfds"))
    with pytest.raises(UserError) as error:
        main_here(monkeypatch, CONFIG, *(a.format(**places) for a in arguments))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_an_error_after_jax_is_imported_is_one_line_too(tmp_path: Path) -> None:
    result = main(CONFIG, "--mode=predict", "--inputs=main.py", f"--workdir={tmp_path}")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert "no run here" in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("data.name", "mnsit", "did you mean 'mnist'?"),
        ("data.dir", "main.py", "a file stands where a folder"),
        ("model.sequence", "frames", "but mnist holds images"),
    ],
)
def test_data_that_cannot_be_had_or_read(
    small_config: ConfigDict, tmp_path: Path, field: str, value: str, message: str
) -> None:
    small_config.update_from_flattened_dict({field: value})
    with pytest.raises(UserError) as error:
        train_and_evaluate(small_config, tmp_path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("inputs", "output", "invert", "message"),
    [
        ("", "", "auto", "--inputs: missing"),
        ("*", "x.txt", "auto", "choose .csv or .jsonl"),
        ("*", "no/x.csv", "auto", "the folder no does not exist"),
        ("*", "", "yes", "choose one of auto, always, never"),
    ],
)
def test_predictions_that_cannot_be_made(
    tmp_path: Path, inputs: str, output: str, invert: str, message: str
) -> None:
    with pytest.raises(UserError) as error:
        predict_files(tmp_path, inputs, output, invert)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_an_empty_folder_is_no_run(small_config: ConfigDict, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run here"):
        evaluate_run(small_config, tmp_path, "test")


def test_train_evaluate_predict(
    overrides: Callable[[], list[str]],
    tmp_path: Path,
    mnist: Dataset,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The README's story on a small network: every mode, twice where that must not matter."""
    workdir, arguments = tmp_path / "run", overrides()
    train = main(*arguments, f"--workdir={workdir}", "--report=false")
    assert train.returncode == 0, train.stderr
    for text in ("jax", "sha256", "device(s) x ", "12 steps = ", "total", "step 5/12", "ETA"):
        assert text in train.stdout
    assert train.stdout.splitlines()[-1].startswith("test accuracy ")
    here = (*arguments, f"--workdir={workdir}", "--report=false")
    assert main_here(monkeypatch, *here) == 0
    assert capsys.readouterr().out.splitlines()[-1] == train.stdout.splitlines()[-1]

    evaluate = main(*arguments, f"--workdir={workdir}", "--mode=evaluate")
    assert evaluate.returncode == 0, evaluate.stderr
    assert "count     10000" in evaluate.stdout
    assert len([line for line in evaluate.stdout.splitlines() if line[:2] == "  "]) == 10

    def evaluate_here(change: str) -> str:
        here = (*arguments, f"--workdir={workdir}", "--mode=evaluate", f"--config.{change}")
        assert main_here(monkeypatch, *here) == 0
        return capsys.readouterr().out

    sizes = ("data.eval_batch_size=1000", "data.eval_batch_size=333")
    assert evaluate_here(sizes[0]) == evaluate_here(sizes[1])
    with pytest.raises(UserError, match="hidden_size was 16 and is 5"):
        evaluate_here("model.hidden_size=5")

    images = tmp_path / "images"
    images.mkdir()
    for index in range(3):
        Image.fromarray(mnist.splits["test"].inputs[index, ..., 0]).save(images / f"{index}.png")
    (images / "1b.png").write_text("not an image")
    output = tmp_path / "out.csv"
    predict = main(
        *arguments,
        f"--workdir={workdir}",
        "--mode=predict",
        f"--inputs={images}/*.png",
        f"--output={output}",
    )
    assert predict.returncode == 1
    assert "1b.png" in predict.stderr
    with output.open() as file:
        rows = list(csv.DictReader(file))
    assert [Path(row["file"]).name for row in rows] == ["0.png", "1.png", "1b.png", "2.png"]
    assert [bool(row["error"]) for row in rows] == [False, False, True, False]
    assert [row["doubtful"] for row in rows] == [""] * 4
    for row in rows:
        if not row["error"]:
            probabilities = json.loads(row["probabilities"])
            assert sum(probabilities) == pytest.approx(1, abs=1e-5)
            assert probabilities.index(max(probabilities)) == int(row["classes"])


@pytest.mark.parametrize(
    ("arguments", "flags", "devices", "batch"),
    [
        (("--host_devices=1",), "", 1, "64 = 1 device(s) x 64"),
        ((), "--xla_force_host_platform_device_count=3", 3, "64 = 2 device(s) x 32 (not all 3"),
    ],
)
def test_the_cpu_is_as_many_devices_as_one_says(
    tiny_config: ConfigDict,
    tmp_path: Path,
    arguments: tuple[str, ...],
    flags: str,
    devices: int,
    batch: str,
) -> None:
    tiny_config.data.batch_size, tiny_config.duration = 64, "1 steps"
    command = (*as_arguments(tiny_config), *arguments, "--report=false", f"--workdir={tmp_path}")
    result = main(*command, XLA_FLAGS=flags)
    assert result.returncode == 0, result.stderr
    assert f"devices   {devices}: cpu:0" in result.stdout
    assert batch in result.stdout
    environment = read_record(tmp_path / "environment.json")
    assert len(environment["devices"]) == devices
    assert flags in environment["xla_flags"]


NUM_KILLS = int(os.environ.get("SEQVISION_KILLS", "1"))


def test_a_killed_run_resumes_to_the_same_bits(tiny_config: ConfigDict, tmp_path: Path) -> None:
    """SIGKILL at random moments, most of them while a checkpoint is being written.

    `SEQVISION_KILLS=20 python -m pytest tests/test_main.py -k killed` kills twenty times.
    """
    tiny_config.duration = f"{15 + 15 * NUM_KILLS} steps"
    tiny_config.evaluate_every = "10 steps"
    tiny_config.checkpoint.every = "1 steps"
    arguments = [*as_arguments(tiny_config), "--report=false"]
    plain, killed = tmp_path / "plain", tmp_path / "killed"
    assert main(*arguments, f"--workdir={plain}").returncode == 0
    moments, kills = random.Random(0), 0
    while True:
        process = subprocess.Popen(
            [sys.executable, "main.py", *arguments, f"--workdir={killed}"],
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        if kills < NUM_KILLS:
            for line in process.stdout:
                if line.startswith("step "):
                    break
            time.sleep(moments.uniform(0, 0.5))
            process.send_signal(signal.SIGKILL)
        process.communicate()
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
        kills += 1
    assert kills >= 1
    assert read_record(killed / "status.json")["status"] == "done"
    assert_same_run(killed, plain)


def test_sigterm_saves_and_says_so(tiny_config: ConfigDict, tmp_path: Path) -> None:
    tiny_config.duration = "100000 steps"
    process = subprocess.Popen(
        [sys.executable, "main.py", *as_arguments(tiny_config), f"--workdir={tmp_path}"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("step "):
            break
    with pytest.raises(UserError, match=f"process {process.pid} on .* is training here"):
        train_and_evaluate(tiny_config, tmp_path)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "SIGTERM: saving before the end" in err
    assert "the same command goes on from here" in out
    assert read_record(tmp_path / "status.json")["status"] == "interrupted"
