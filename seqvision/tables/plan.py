"""The plan of a table: the runs of each row, all checked before the first one starts.

It imports no jax, so that errors in a table are reported at once.
"""

import dataclasses
import re
import runpy
from collections.abc import Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from seqvision.config.schema import Settings
from seqvision.config.validation import flatten, nest, validate
from seqvision.errors import UserError, did_you_mean, first_line
from seqvision.sweeps.plan import Plan, check_field, plan_sweep
from seqvision.tables.rows import Row


@dataclasses.dataclass(frozen=True)
class PlannedRow:
    """A checked row.

    Attributes:
      row: as the table describes it.
      config_path: of all its runs: the table's file with the row's variant.
      overrides: of all its runs, by dotted name: those of the row and of the command line.
      plan: its runs, one for each seed.
      evaluations: the settings of each, but for the seed.
    """

    row: Row
    config_path: str
    overrides: dict[str, Any]
    plan: Plan
    evaluations: dict[str, Settings]


def read_table(path: str) -> tuple[list[Row], Mapping[str, Any]]:
    """Calls `get_table()` of a config file (`NAME.py[:VARIANT]`).

    Returns:
      The rows, and all that the file defines.

    Raises:
      UserError: the file has no such function, or it does not return a list of rows.
    """
    file = path.partition(":")[0]
    content = runpy.run_path(file)
    if "get_table" not in content:
        raise UserError(
            f"--mode=table: {file} has no get_table(); let it return rows of seqvision.tables.rows,"
            " or choose one of configs/tables"
        )
    try:
        rows = content["get_table"]()
    except (Exception, SystemExit) as error:  # The user's code may raise anything.
        raise UserError(f"get_table() in {file}: {first_line(error)}") from None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, Row) for row in rows):
        found = "an empty list" if rows == [] else f"a {type(rows).__name__}"
        if isinstance(rows, list) and rows:
            found = "a list that holds something else"
        raise UserError(
            f"get_table() in {file}: it returns {found}; it must return a list of Row of"
            " seqvision.tables.rows"
        )
    return rows, content


def chosen_rows(rows: Sequence[Row], names: str) -> list[Row]:
    """The rows that `--rows` names, separated by commas; all for "".

    Raises:
      UserError: there is no such row.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = [row.name for row in rows]
    for name in wanted:
        if name not in known:
            raise UserError(
                f"--rows: the table has no row '{name}'; choose from"
                f" {', '.join(known)}{did_you_mean(name, known)}"
            )
    return [row for row in rows if not wanted or row.name in wanted]


def plan_table(
    path: str, rows: Sequence[Row], content: Mapping[str, Any], changes: Mapping[str, Any]
) -> list[PlannedRow]:
    """Checks every row and all its runs.

    Args:
      path: the config file.
      rows: of the table.
      content: of the file, with its `get_config`.
      changes: fields that the command line sets for all rows, by dotted name; they win.

    Raises:
      UserError: one line about the first row that is wrong.
    """
    planned: list[PlannedRow] = []
    for number, row in enumerate(rows, 1):
        try:
            planned.append(_planned(path.partition(":")[0], row, content, changes))
            if any(row.name == other.row.name for other in planned[:-1]):
                raise UserError("another row has this name; choose another")
        except UserError as error:
            name = f"'{row.name}', {number} of {len(rows)}"
            raise UserError(f"get_table(), row {name}: {error}") from None
    return planned


def _planned(
    file: str, row: Row, content: Mapping[str, Any], changes: Mapping[str, Any]
) -> PlannedRow:
    if not re.fullmatch(r"[\w.+-]*\w[\w.+-]*", row.name, flags=re.ASCII):
        raise UserError("its name is also its folder's; use letters, digits and _ . + -")
    if type(row.seeds) is not int or not 1 <= row.seeds <= 1000:
        raise UserError(f"seeds: {row.seeds!r} is no number of seeds; give 1 to 1000")
    if row.shown and row.shown not in row.evaluations:
        raise UserError(f"shown: '{row.shown}' is none of its evaluations")
    try:
        config = content["get_config"](*[row.variant] if row.variant else [])
    except Exception as error:  # The user's code may raise anything.
        raise UserError(f"get_config(): {first_line(error)}") from None
    fields = flatten(validate(config))
    overrides = {**row.overrides, **changes}
    settings = _changed(fields, overrides)
    if settings.num_seeds > 1:
        raise UserError("config.num_seeds: a row trains one seed at a time; set Row.seeds instead")
    # In their checked form, as in a sweep.
    flat = flatten(settings)
    seeds = [{"seed": settings.seed + seed} for seed in range(row.seeds)]
    return PlannedRow(
        row,
        f"{file}:{row.variant}" if row.variant else file,
        {key: flat[key] for key in overrides if key != "seed"},
        plan_sweep(settings, seeds),
        {name: _changed(flat, more) for name, more in row.evaluations.items()},
    )


def _changed(fields: Mapping[str, Any], overrides: Mapping[str, Any]) -> Settings:
    for key in overrides:
        check_field(key, fields)
    return validate(ConfigDict(nest({**fields, **overrides})))
