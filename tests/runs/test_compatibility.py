"""Configs of earlier runs: completed where a field is new, refused where they are not whole."""

from pathlib import Path

import pytest

from seqvision.config.schema import Settings
from seqvision.config.validation import flatten, nest
from seqvision.errors import UserError
from seqvision.runs.compatibility import read_settings
from seqvision.runs.files import CONFIG, write_json


def test_a_run_without_the_newer_fields_has_their_defaults(tmp_path: Path) -> None:
    fields = flatten(Settings())
    newer = ("data.value_range", "data.paper", "lines.invert", "reading.prior")
    older = {key: value for key, value in fields.items() if not key.startswith(newer)}
    write_json(tmp_path / CONFIG, nest(older | {"seed": 7}))
    assert flatten(read_settings(tmp_path)) == fields | {"seed": 7}


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
