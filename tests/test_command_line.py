"""The command line: flags, overrides and config files, and what is said of bad ones."""

import importlib
import inspect
import json
from pathlib import Path

import pytest

from seqvision.__main__ import MODES
from seqvision.config.flags import own_flags
from seqvision.errors import UserError
from tests.commands import CONFIG, NO_RUN, main, main_here

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
