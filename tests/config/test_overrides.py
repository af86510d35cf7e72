"""Overrides on the command line: what has no effect is refused, what has is not."""

from typing import Any

import pytest
from ml_collections import ConfigDict

from configs import column_reader, frame_lstm, row_lstm
from seqvision.config.overrides import check_overrides
from seqvision.config.validation import validate
from seqvision.errors import UserError


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
        (frame_lstm, {"clips.speed": 3.0, "model.cnn_channels": (4,)}),
        (column_reader, {"lines.level": "hard", "lines.width": 300, "reading.beam_width": 2}),
        (row_lstm, {"model.sequence": "patches", "model.patch_size": 7}),
        (row_lstm, {"schedule.warmup": "3 steps", "schedule.start_fraction": 0.5}),
        (row_lstm, {"schedule.name": "cosine", "schedule.final_fraction": 0.5}),
    ],
)
def test_what_has_one(module: Any, changes: dict[str, Any]) -> None:
    check(module.get_config(), changes)
