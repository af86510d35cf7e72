"""The plan of a sweep: name and settings of each run, all checked before the first one starts.

It imports no jax, so that errors in a sweep are reported at once.
"""

import dataclasses
import hashlib
import json
import re
import runpy
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from seqvision.config.schema import Settings
from seqvision.config.validation import flatten, nest, validate
from seqvision.errors import UserError, did_you_mean, first_line

_LONGEST_NAME = 120


@dataclasses.dataclass(frozen=True)
class PlannedRun:
    """One run of a sweep.

    Attributes:
      name: the name of its folder, from its overrides only: `data.batch_size=64,seed=1`.
      overrides: changed fields by dotted name; durations as text.
      settings: the whole config with the overrides.
    """

    name: str
    overrides: dict[str, Any]
    settings: Settings


@dataclasses.dataclass(frozen=True)
class Plan:
    """A checked sweep.

    Attributes:
      keys: the fields that it varies, in the order of their first appearance.
      runs: in the order of their declaration.
      metric: the metric by which runs are compared: config.checkpoint.best_metric, by default
        accuracy, cer (character error rate) or, of numbers, mae.
    """

    keys: tuple[str, ...]
    runs: tuple[PlannedRun, ...]
    metric: str

    @property
    def higher_is_better(self) -> bool:
        return self.metric not in ("cer", "loss", "mae", "rmse")


def read_sweep(path: str) -> list[Any]:
    """Calls `get_sweep()` of a config file (`NAME.py[:VARIANT]`).

    Raises:
      UserError: the file has no such function, or it does not return a list of runs.
    """
    file = path.partition(":")[0]
    get_sweep = runpy.run_path(file).get("get_sweep")
    if get_sweep is None:
        raise UserError(
            f"--mode=sweep: {file} has no get_sweep(); let it return runs, such as"
            " grid({'seed': [0, 1, 2]}) of seqvision.sweeps.search_space, or choose one of"
            " configs/sweeps"
        )
    try:
        sweep = get_sweep()
    except (Exception, SystemExit) as error:  # The user's code may raise anything.
        reason = str(error) if isinstance(error, ValueError) else first_line(error)
        raise UserError(f"get_sweep() in {file}: {reason}") from None
    if not isinstance(sweep, list) or not sweep:
        found = "an empty list" if sweep == [] else f"a {type(sweep).__name__}"
        raise UserError(
            f"get_sweep() in {file}: it returns {found}; it must return a list of runs, as grid,"
            " zipped, product and sample of seqvision.sweeps.search_space do"
        )
    return sweep


def plan_sweep(base: Settings, sweep: Sequence[Any], fixed: Collection[str] = ()) -> Plan:
    """Checks and names every run of a sweep.

    Args:
      base: the settings that the runs change.
      sweep: a dict of dotted names and values for each run.
      fixed: fields that the command line sets for all runs.

    Raises:
      UserError: one line about the first run that is invalid or a duplicate, or the runs have no
        common metric.
    """
    fields = flatten(base)
    keys: dict[str, None] = {}
    runs: list[PlannedRun] = []
    names: dict[str, int] = {}
    numbers: dict[Settings, int] = {}
    for number, overrides in enumerate(sweep, 1):
        place = f"get_sweep(), run {number} of {len(sweep)}"
        try:
            run = _planned(fields, overrides, fixed)
        except UserError as error:
            raise UserError(f"{place}: {error}") from None
        if run.settings in numbers:
            raise UserError(
                f"{place}: it is run {numbers[run.settings]} again, {run.name}; leave one of them"
                " out"
            )
        if run.name in names:
            raise UserError(
                f"{place}: its folder would be that of run {names[run.name]}, {run.name}; choose"
                " values that differ in more than spaces"
            )
        numbers[run.settings] = names[run.name] = number
        keys |= dict.fromkeys(overrides)
        runs.append(run)
    return Plan(tuple(keys), tuple(runs), _common_metric(runs))


def shard_of(runs: Sequence[PlannedRun], shard: str) -> list[PlannedRun]:
    """The runs of a shard: for `i/n`, i from 0 to n-1, every n-th run from run i; for "" all."""
    if not shard:
        return list(runs)
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", shard)
    if not match or not int(match[1]) < int(match[2]):
        raise UserError(
            f"--sweep_shard: '{shard}' is no shard; write i/n with i from 0 to n-1, such as 0/3,"
            " 1/3 and 2/3"
        )
    return list(runs[int(match[1]) :: int(match[2])])


def _common_metric(runs: Sequence[PlannedRun]) -> str:
    metrics = {metric_of(run.settings) for run in runs}
    if len(metrics) > 1:
        raise UserError(
            "get_sweep(): the sweep mixes text-reading and classification runs, or others of"
            f" several metrics ({', '.join(sorted(metrics))}), which cannot be compared; make two"
            " sweeps"
        )
    return metrics.pop()


def metric_of(settings: Settings) -> str:
    """By which runs with these settings are compared."""
    if settings.reads_text:
        return "cer"
    usual = {"number": "mae", "labels": "map"}.get(settings.data.target, "accuracy")
    asked = settings.checkpoint.best_metric
    return usual if asked == "auto" else asked


def _planned(fields: Mapping[str, Any], overrides: Any, fixed: Collection[str]) -> PlannedRun:
    if not isinstance(overrides, dict) or not all(isinstance(key, str) for key in overrides):
        raise UserError(f"{overrides!r} is no dict of dotted names and values")
    for key in overrides:
        check_field(key, fields)
        if key in fixed:
            raise UserError(
                f"config.{key}: the sweep varies it, and the command line sets it; leave"
                f" --config.{key} out"
            )
    settings = validate(ConfigDict(nest({**fields, **overrides})))
    # In their checked form: a 1 for a float is 1.0, '1 epoch' is '1 epochs'.
    checked = {key: flatten(settings)[key] for key in overrides}
    return PlannedRun(_name(checked), checked, settings)


def check_field(key: str, fields: Mapping[str, Any]) -> None:
    """Raises UserError where a dotted name is none of the fields'."""
    if key not in fields:
        raise UserError(_unknown(key, fields))


def _unknown(key: str, fields: Mapping[str, Any]) -> str:
    if any(field.startswith(f"{key}.") for field in fields):
        inside = next(field for field in fields if field.startswith(f"{key}."))
        return f"config.{key}: it is a section; name one of its fields, such as '{inside}'"
    hint = did_you_mean(key, fields) or "; configs/default.py lists them"
    return f"config.{key}: no such field{hint}"


def _name(overrides: Mapping[str, Any]) -> str:
    """A folder name that lists the overrides, whatever the order in which they were written."""
    exact = ",".join(f"{key}={_word(overrides[key])}" for key in sorted(overrides)) or "base"
    name = re.sub(r"[^\w.=,+-]", "-", exact, flags=re.ASCII)
    if name == exact and len(name) <= _LONGEST_NAME:
        return name
    # The digest distinguishes names that were cut or had characters replaced.
    content = json.dumps(overrides, sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()[:10]
    return f"{name[: _LONGEST_NAME - len(digest) - 1]}-{digest}"


def _word(value: Any) -> str:
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    return str(value).replace(" ", "")
