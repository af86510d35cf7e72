"""Overrides on the command line: what has no effect is refused, what has is not."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ml_collections import ConfigDict

from configs import column_reader, frame_lstm, row_lstm
from seqvision.config.overrides import check_mode, check_overrides
from seqvision.config.validation import validate
from seqvision.errors import UserError
from seqvision.runs.compatibility import read_settings


def check(config: ConfigDict, changes: dict[str, Any]) -> None:
    config.update_from_flattened_dict(changes)
    check_overrides(validate(config), changes)


@pytest.mark.parametrize(
    ("name", "value", "needed"),
    [
        ("clips.speed", 3.0, "config.data.source=moving_digits"),
        ("lines.level", "hard", "config.data.source=digit_lines"),
        ("lines.width", 100, "config.data.source of digit_lines or lines"),
        ("model.patch_size", 7, "config.model.sequence=patches"),
        ("model.cnn_channels", (4,), "config.model.sequence of cnn, cnn_rows"),
        ("reading.delay", 9, "config.data.source of digit_lines or lines"),
        ("reading.alphabet", "ab", "config.data.source of digit_lines or lines"),
        (
            "data.validation_fraction",
            0.2,
            "config.data.source of npz, folders, features, idx, lines",
        ),
        ("data.test_fraction", 0.2, "config.data.source of npz, folders, features, idx"),
        ("schedule.start_fraction", 0.5, "config.schedule.warmup"),
        ("schedule.final_fraction", 0.5, "config.schedule.name=cosine or one_cycle"),
    ],
)
def test_what_has_no_effect(name: str, value: Any, needed: str) -> None:
    config = row_lstm.get_config()
    config.schedule.name, config.schedule.warmup = "constant", "0 steps"
    with pytest.raises(UserError) as error:
        check(config, {name: value})
    assert str(error.value).startswith(f"--config.{name}: it has no effect without {needed}")


@pytest.mark.parametrize(
    ("module", "changes"),
    [
        (row_lstm, {"data.resident_bytes": 9}),
        (frame_lstm, {"clips.speed": 3.0, "model.cnn_channels": (4,)}),
        (column_reader, {"lines.level": "hard", "lines.width": 300, "reading.beam_width": 2}),
        (row_lstm, {"model.sequence": "patches", "model.patch_size": 7}),
        (row_lstm, {"data.name": "kmnist", "data.dir": "x", "data.validation_examples": 9}),
        (frame_lstm, {"data.name": "kmnist", "data.dir": "x", "data.validation_examples": 9}),
        (row_lstm, {"data.source": "npz", "data.path": "x", "data.test_fraction": 0.2}),
        (row_lstm, {"schedule.warmup": "3 steps", "schedule.start_fraction": 0.5}),
        (row_lstm, {"schedule.name": "cosine", "schedule.final_fraction": 0.5}),
    ],
)
def test_what_has_one(module: Any, changes: dict[str, Any]) -> None:
    check(module.get_config(), changes)


def test_clips_and_lines_are_never_streamed() -> None:
    for module in (frame_lstm, column_reader):
        with pytest.raises(UserError, match="resident_bytes: it has no effect without"):
            check(module.get_config(), {"data.resident_bytes": 9})


@pytest.mark.parametrize("source", ["npz", "folders", "idx", "lines"])
@pytest.mark.parametrize("change", [("name", "kmnist"), ("dir", "x"), ("validation_examples", 9)])
def test_own_files_have_no_name_in_tfds(source: str, change: tuple[str, Any]) -> None:
    config = (column_reader if source == "lines" else row_lstm).get_config()
    config.update_from_flattened_dict({"data.source": source, "data.path": "x"})
    with pytest.raises(UserError, match=rf"--config\.data\.{change[0]}: it has no effect without"):
        check(config, {f"data.{change[0]}": change[1]})


@pytest.mark.parametrize(
    ("mode", "name", "value", "message"),
    [
        ("predict", "model.hidden_size", 9, "config.reading.beam_width, config.reading.prior,"),
        ("predict", "data.source", "folders", "which takes the config of the run in --workdir"),
        ("predict", "model.cnn_channels", (9,), "leave it out"),
        ("predict", "evaluate_every", "never", "leave it out"),
        ("read", "duration", "1 epochs", "leave it out"),
        ("read", "reading.beam_width", 8, "--config.reading.beam_width: it has no effect with"),
        ("read", "data.eval_batch_size", 8, "leave it out"),
        ("serve", "model.hidden_size", 9, "--config.model.hidden_size: it has no effect with"),
        ("export", "model.hidden_size", 9, "config.data.dir, config.data.cache_dir, config.data"),
    ],
)
def test_modes_that_take_the_config_of_the_run(
    tmp_path: Path, mode: str, name: str, value: Any, message: str
) -> None:
    with pytest.raises(UserError) as error:
        check_mode(mode, {name: value}, tmp_path)
    assert str(error.value).startswith(f"--config.{name}: it has no effect with --mode={mode}")
    assert message in str(error.value)
    kept: dict[str, Any] = {"data": {"source": "folders", "eval_batch_size": 8}}
    kept |= {"evaluate_every": "0 steps", "duration": "1 epochs"}
    kept |= {"model": {"hidden_size": 9, "cnn_channels": [9]}, "reading": {"beam_width": 8}}
    (tmp_path / "config.json").write_text(json.dumps(kept))
    check_mode(mode, {name: value}, tmp_path)
    check_mode("predict", {"reading.beam_width": 3, "reading.prior_weight": 2.0}, tmp_path)
    check_mode("export", {"data.path": "elsewhere", "data.eval_batch_size": 9}, tmp_path)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"data": {"source": "npz"}}, "'folders' differs from the run's 'npz', and --mode=predict"),
        ({"data": {"source": None}}, "it has no effect with --mode=predict, which takes"),
        ({"data": 3}, "it has no effect with --mode=predict, which takes"),
    ],
)
def test_what_differs_from_the_run(tmp_path: Path, content: Any, found: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(UserError) as error:
        check_mode("predict", {"data.source": "folders"}, tmp_path)
    assert str(error.value).startswith(f"--config.data.source: {found}")


@pytest.mark.parametrize("content", ["", "null", "[]", '{"data": {"so', "\0", "FIFO"])
def test_a_damaged_record_is_named_before_overrides(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config.json"
    if content == "FIFO":
        os.mkfifo(path)
    else:
        path.write_text(content)
    check_mode("predict", {"data.source": "folders"}, tmp_path)
    with pytest.raises(UserError, match=r"config\.json: (damaged|a pipe|it is a)"):
        read_settings(tmp_path)
