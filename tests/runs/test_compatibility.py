"""Configs of earlier runs: completed where a field is new, refused where they are not whole."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from seqvision.config.data_schema import Data
from seqvision.config.schema import Settings
from seqvision.config.validation import flatten, nest
from seqvision.errors import UserError
from seqvision.runs.compatibility import _NEWER, check_same_config, differences, read_settings
from seqvision.runs.files import CONFIG, write_json


def test_a_run_without_the_newer_fields_has_their_defaults(tmp_path: Path) -> None:
    fields = flatten(Settings())
    newer = ("data.value_range", "data.paper", "lines.invert", "reading.prior")
    older = {key: value for key, value in fields.items() if not key.startswith(newer)}
    write_json(tmp_path / CONFIG, nest(older | {"seed": 7}))
    assert flatten(read_settings(tmp_path)) == fields | {"seed": 7}


def test_a_stored_config_of_0_2_0_is_read(tmp_path: Path) -> None:
    stored = Path(__file__).with_name("config_of_0_2_0.json").read_text()
    fields = flatten(Settings())
    missing = fields.keys() - flatten_json(json.loads(stored)).keys()
    new = sorted(missing - set(_NEWER))
    assert not new, (
        f"{', '.join(new)}: new since 0.2.0; enter it in _NEWER of seqvision/runs/compatibility.py,"
        " with a default that is what older runs did, or no older run can be read"
    )
    assert set(_NEWER) <= fields.keys()
    (tmp_path / CONFIG).write_text(stored)
    assert flatten(read_settings(tmp_path)) == fields


def test_a_run_that_began_with_a_field_without_effect_is_resumed(tmp_path: Path) -> None:
    """Overrides of such fields are refused now, so it could be resumed neither with nor without."""
    own = Data(source="folders", path="x", validation_examples=0)
    before, now = Settings(data=own), Settings(data=dataclasses.replace(own, validation_examples=9))
    assert differences(before, now) == {}
    public = dataclasses.replace(now, data=Data(validation_examples=9))
    assert {"data.source", "data.validation_examples"} <= differences(before, public).keys()
    (tmp_path / "checkpoints" / "3").mkdir(parents=True)
    write_json(tmp_path / CONFIG, nest(flatten(before)))
    check_same_config(now, tmp_path)
    fraction = dataclasses.replace(own, validation_fraction=0.3)
    with pytest.raises(UserError, match=r"data\.validation_fraction was 0\.1 and is 0\.3"):
        check_same_config(dataclasses.replace(now, data=fraction), tmp_path)


def flatten_json(nested: dict[str, Any], path: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        inner = isinstance(value, dict)
        flat |= flatten_json(value, f"{path}{key}.") if inner else {f"{path}{key}": value}
    return flat


@pytest.mark.parametrize(("source", "direction"), [("tfds", "auto"), ("lines", "as_typed")])
def test_older_runs_learnt_their_own_texts_as_typed(
    tmp_path: Path, source: str, direction: str
) -> None:
    fields = flatten(Settings())
    if source == "lines":
        fields |= {"data.source": source, "data.path": "x", "model.readout": "per_step"}
        fields |= {"model.sequence": "columns"}
    older = {k: v for k, v in fields.items() if k not in ("reading.direction", "lines.invert")}
    write_json(tmp_path / CONFIG, nest(older))
    found = read_settings(tmp_path)
    assert (found.reading.direction, found.lines.invert) == (direction, "auto")


@pytest.mark.parametrize("content", [{}, {"data": {}}, []])
def test_a_config_that_is_not_whole_is_refused(tmp_path: Path, content: object) -> None:
    write_json(tmp_path / CONFIG, content)
    with pytest.raises(
        UserError, match=r"config\.json: (not of this version of seqvision|damaged)"
    ):
        read_settings(tmp_path)
