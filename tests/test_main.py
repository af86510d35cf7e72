"""main.py as its users meet it: a process with arguments, an exit code and two streams."""

import csv
import importlib
import inspect
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
from absl.testing import flagsaver
from ml_collections import ConfigDict
from PIL import Image

from seqvision.__main__ import MODES
from seqvision.__main__ import main as run_main
from seqvision.config.flags import own_flags
from seqvision.data.dataset import Dataset
from seqvision.errors import UserError
from seqvision.evaluate import evaluate_run
from seqvision.predict import predict_files
from seqvision.runs.records import read_record
from seqvision.train import train_and_evaluate
from tests.conftest import QUICK_COMPILATION, as_arguments
from tests.test_train import assert_same_run

CONFIG = "--config=configs/row_lstm.py"
# The default workdir may hold a run: that of the README's first command.
NO_RUN = "--workdir=runs/there-is-none"


def environment(**more: str) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if k != "COLUMNS"}
    return clean | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": QUICK_COMPILATION} | more


def main(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "main.py", *arguments],
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=300,
    )


def main_here(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The same in this process, which has jax imported already: seconds less. Returns or raises."""
    command = ["main.py", *arguments]
    monkeypatch.setattr(sys, "argv", command)  # ml_collections reads overrides from there.
    with flagsaver.flagsaver():
        return run_main(command)


BAD = [
    ((), "--config: missing", "configs/row_lstm.py"),
    (("--config=configs/row_lstn.py",), "no file 'configs/row_lstn.py'", "'configs/row_lstm.py'?"),
    (
        ("--config=configs/row_lstm.py:bok",),
        "'bok' is not known",
        "tuned, fast99, fast, estimator or book",
    ),
    ((CONFIG, "--config.optimiser.name=sgd"), "config.optimiser", "'config.optimizer'?"),
    ((CONFIG, "--config.optimizer.nam=sgd"), "config.optimizer.nam", "'config.optimizer.name'?"),
    ((CONFIG, "--config.optimizer.name=sdg"), "'sdg' is not known", "did you mean 'sgd'?"),
    ((CONFIG, "--config.data.batch_size=-8"), "-8 is out of range", "at least 1"),
    ((CONFIG, "--config.data.batch_size", "-8"), "-8", "at least 1"),
    ((CONFIG, "--config.data.batch_size=many"), "'many' is not an int", "256"),
    ((CONFIG, "--config.data.batch_size=1.5"), "'1.5' is not an int", "config.data.batch_size"),
    ((CONFIG, "--config.checkpoint.keep_best=perhaps"), "'perhaps'", "true or false"),
    ((CONFIG, "--config.data=mnist"), "config.data: it is a section", "--config.data.bal"),
    ((CONFIG, "--config.seed.x=1"), "config.seed.x: no such field", "config.seed is an int"),
    ((CONFIG, "--config.duration=10"), "'10' is not a duration", "500 steps"),
    ((CONFIG, "--mode=trian"), "--mode: 'trian' is not known", "did you mean 'train'?"),
    ((CONFIG, "--mode=evaluate", "--profile=x"), "--profile: it has no effect", "--mode=train"),
    (
        (CONFIG, "--mode=predict", NO_RUN, "--config.data.source=folders"),
        "config.data.source: it has no effect",
        "with --mode=predict",
    ),
    (
        (CONFIG, "--mode=read", NO_RUN, "--config.reading.beam_width=8"),
        "with --mode=read",
        "leave it out",
    ),
    *(
        ((CONFIG, "--mode=export", f"--format={form}", f"--{flag}"), "it has no effect", form)
        for form in ("torch", "keras", "safetensors")
        for flag in ("int8=false", "check=false", "check=true", "split=test")
    ),
    ((CONFIG, "--seed=1"), "--seed: it has no effect", "--mode=evaluate or predict or read"),
    (("--config=row_lstn",), "neither a file nor a shipped config", "did you mean 'row_lstm'?"),
    (("--config=nothing",), "'nothing' is neither", "row_lstm, series, shell_game, sweeps/cells"),
    (("--config=row_lstm:bok",), "'bok' is not known", "tuned, fast99, fast, estimator or book"),
    (("--config=no/row_lstn.py",), "no file 'no/row_lstn.py'", "did you mean 'row_lstm'?"),
    ((CONFIG, "--workdr=x"), "workdr", "workdir"),
    (("--config.seed=1", CONFIG), "--config.seed: it stands before --config", "name the config"),
    ((CONFIG, CONFIG), "--config: given twice", "choose one"),
    (("--config=configs",), "there is no file 'configs'", "configs holds bidirectional_rows.py"),
    ((CONFIG, "--config.model.cnn_channels=16"), "'16' is not a tuple of ints", "'(32,)'"),
    ((CONFIG, "--config.model.cnn_channels=(16,0)"), "(16, 0) is out of range", "at least 1"),
    ((CONFIG, "--config.data.window=4"), "config.data.window: 4 has no effect", "(frames)"),
    ((CONFIG, "--config.optimizer.learning_rate=1e40"), "1e+40 is out of range", "at most 1e+38"),
    ((CONFIG, "--host_devices=-1"), "--host_devices=-1", "in the range [0, 1024]"),
    ((CONFIG, "--workdir=~nouser/x"), "'~nouser' is not known", "write the path in full"),
    (("--config=" + "x" * 5000,), "(5000 characters)': File name too long", "name a config file"),
    ((CONFIG, "stray"), "'stray' is not understood", "--name=value"),
]


OF_EACH_KIND = [
    ((), "--config: missing"),
    ((CONFIG, "--flagfile=/nowhere"), "Unable to open flagfile"),  # Read before `main` begins.
    ((CONFIG, "--config.optimizer.name=sdg"), "did you mean 'sgd'?"),
    ((CONFIG, "--mode=evaluate", "--profile=x"), "--profile: it has no effect"),
]


@pytest.mark.parametrize(("arguments", "found"), OF_EACH_KIND, ids=str)
def test_a_bad_command_line_is_one_line_before_jax_is_imported(
    tmp_path: Path, arguments: tuple[str, ...], found: str
) -> None:
    (tmp_path / "jax.py").write_text("raise SystemExit('jax was imported')")
    result = main(*arguments, PYTHONPATH=str(tmp_path))
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert found in result.stderr


@pytest.mark.parametrize(("arguments", "found", "allowed"), BAD, ids=[str(b[0])[:80] for b in BAD])
def test_a_bad_command_line_says_what_was_found_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    found: str,
    allowed: str,
) -> None:
    with pytest.raises(UserError) as error:
        main_here(monkeypatch, *arguments)
    assert found in str(error.value)
    assert allowed in str(error.value)
    assert "\n" not in str(error.value)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def get_config(): return {}", "must return an ml_collections.ConfigDict"),
        ("x = 1 / 0", "division by zero"),
        ("x = (", "does not load"),
        ("import sys; sys.exit(0)", "ends the program (sys.exit(0))"),
        ("import sys\ndef get_config(): sys.exit('no')", "ends the program (sys.exit('no'))"),
    ],
)
def test_a_config_file_that_does_not_load(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "own.py"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        main_here(monkeypatch, f"--config={path}")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("placeholder", "arguments", "message"),
    [
        ("required_placeholder(int)", ("--config.model.hidden_size=8",), "no flag can set; give"),
        ("placeholder(int)", (), "config.model.hidden_size: None is a NoneType; allowed is an int"),
        ("placeholder(int)", ("--config.model.hidden_size=x",), "'x' is not an int"),
        ("placeholder(int)", ("--config.model.hidden_size=8",), "no such file"),
    ],
)
def test_placeholders(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    placeholder: str,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    """With a value, such a config is read like others: the error is then that of its data."""
    (tmp_path / "mine.py").write_text(
        "from ml_collections import config_dict\nfrom configs import default\n\n\n"
        "def get_config():\n    config = default.get_config()\n"
        "    config.data.source, config.data.path = 'npz', '/nowhere.npz'\n"
        f"    config.model.hidden_size = config_dict.{placeholder}\n    return config\n"
    )
    with pytest.raises(UserError, match=message):
        main_here(monkeypatch, f"--config={tmp_path / 'mine.py'}", "--mode=explain", *arguments)


def test_a_config_file_and_a_flag_file_lead_to_others(tmp_path: Path) -> None:
    (tmp_path / "beside_own.py").write_text("SIZE = 24\n")
    (tmp_path / "own.py").write_text(
        "import beside_own\nfrom configs import row_lstm\n"
        "def get_config():\n"
        "    config = row_lstm.get_config()\n"
        "    config.model.hidden_size = beside_own.SIZE\n"
        "    return config\n"
    )
    flags = f"--config={tmp_path}/own.py\n--config.optimizer.name=sdg\n"
    (tmp_path / "flags.txt").write_text(flags)
    result = main(f"--flagfile={tmp_path}/flags.txt", "--mode=explain")
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "did you mean 'sgd'?" in result.stderr
    (tmp_path / "flags.txt").write_text(flags.replace("sdg", "sgd"))
    result = main(f"--flagfile={tmp_path}/flags.txt", "--mode=explain", "--config.data.source=x")
    assert "config.data.source: 'x' is not known" in result.stderr


def test_an_empty_config_file(tmp_path: Path) -> None:
    (tmp_path / "own.py").touch()
    result = main(f"--config={tmp_path}/own.py")
    assert result.returncode == 2
    assert "does not load" in result.stderr
    assert result.stderr.count("\n") == 1


def test_help_lists_the_flags() -> None:
    result = main("--help")
    assert result.returncode == 0
    for flag in ("config", "mode", "workdir", "split", "inputs", "output", "invert"):
        assert f"--{flag}" in result.stdout
    assert ", ".join(MODES) in result.stdout


@pytest.mark.parametrize("mode", MODES)
def test_flags_without_effect_are_refused(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    taken = MODES[mode].arguments + MODES[mode].place
    others = {flag for other in MODES.values() for flag in other.arguments + other.place}
    booleans = ("measure_peak", "stop_with_input")
    for flag in sorted(others - set(taken)):
        argument = f"--{flag}" if flag in booleans else f"--{flag}=1"
        with pytest.raises(UserError, match=f"--{flag}: it has no effect with --mode={mode}; .*--"):
            main_here(monkeypatch, CONFIG, f"--mode={mode}", argument)


def test_the_modes_are_the_modules_with_a_run() -> None:
    for mode, row in MODES.items():
        run = importlib.import_module(f"seqvision.{row.module or mode}").run
        assert tuple(inspect.signature(run).parameters) == ("settings", *row.arguments)
    every_flag = {flag for row in MODES.values() for flag in row.arguments + row.place}
    assert {flag.name for flag in own_flags()} == every_flag | {"config", "mode"}


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


def test_predict_checks_what_the_config_file_has_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An override that repeats the config file, and not the run, would have no effect."""
    (tmp_path / "config.json").write_text(json.dumps({"model": {"hidden_size": 9}}))
    for size in (128, 9):
        override = f"--config.model.hidden_size={size}"
        with pytest.raises(UserError) as error:
            main_here(
                monkeypatch,
                CONFIG,
                "--mode=predict",
                f"--workdir={tmp_path}",
                "--inputs=x",
                override,
            )
        assert ("hidden_size: 128 differs from the run's 9" in str(error.value)) == (size == 128)
