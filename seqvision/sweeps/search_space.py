"""Search spaces: functions with which `get_sweep()` of a config file describes the runs of a sweep.

A sweep is a list of runs, and a run is a dict of overrides: dotted names of config fields and their
values. Lists are joined with `+`.

    grid({"model.cell": ["lstm", "gru"], "optimizer.learning_rate": [1e-3, 3e-3]})       # 4 runs
    zipped({"model.hidden_size": [64, 128], "data.batch_size": [128, 64]})               # 2 runs
    product(zipped({...}), grid({"seed": range(3)}))                                     # 2 x 3
    sample(seed=0, n=8, space={"optimizer.learning_rate": log_uniform(1e-4, 1e-2)})      # 8 runs

It needs only the standard library; names and values are checked against the config when the sweep
is planned. Mistakes in the description itself raise ValueError.
"""

import itertools
import math
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Overrides = dict[str, Any]
Draw = Callable[[float], Any]
"""Turns a number in [0, 1) into a value."""


def grid(values: Mapping[str, Iterable[Any]]) -> list[Overrides]:
    """All combinations of the values of some fields; the last field changes fastest."""
    listed = _listed(values)
    return [
        dict(zip(listed, combination, strict=True))
        for combination in itertools.product(*listed.values())
    ]


def zipped(values: Mapping[str, Iterable[Any]]) -> list[Overrides]:
    """One run for each place in the lists of values: run i has value i of every field."""
    listed = _listed(values)
    lengths = {key: len(column) for key, column in listed.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{key} {length}" for key, length in lengths.items())
        raise ValueError(f"zipped: all fields need the same number of values, not {counts}")
    return [dict(zip(listed, row, strict=True)) for row in zip(*listed.values(), strict=True)]


def product(*sweeps: list[Overrides]) -> list[Overrides]:
    """All combinations of one run of each sweep; the last sweep changes fastest.

    The sweeps must not have a field in common.
    """
    runs = []
    for combination in itertools.product(*sweeps):
        run: Overrides = {}
        for part in combination:
            if both := sorted(run.keys() & part.keys()):
                raise ValueError(f"product: {both[0]} is in two of its sweeps; vary it in one")
            run |= part
        runs.append(run)
    return runs


def sample(seed: int, n: int, space: Mapping[str, Draw | Iterable[Any]]) -> list[Overrides]:
    """`n` different random runs; a larger `n` adds runs to the same first ones.

    The values of a field depend only on the seed and the field's name.

    Args:
      seed: of the random numbers.
      n: number of runs.
      space: a distribution for each field: `uniform`, `log_uniform`, `integers`, or a list of
        equally likely values.
    """
    draws = {
        key: values if callable(values) else _one_of(_column(key, values))
        for key, values in space.items()
    }
    # A generator for each field, seeded with text: the same numbers in all versions of Python.
    generators = {key: random.Random(f"{seed} {key}") for key in draws}
    runs: list[Overrides] = []
    for _ in range(100 * n):  # A small space gives duplicates.
        if len(runs) == n:
            break
        run = {key: draw(generators[key].random()) for key, draw in draws.items()}
        if run not in runs:
            runs.append(run)
    if len(runs) < n:
        raise ValueError(f"sample: {n} different runs asked for, but only {len(runs)} were found")
    return runs


def uniform(low: float, high: float) -> Draw:
    """Uniform numbers between two bounds, rounded to 4 digits."""
    _check_bounds("uniform", low, high)
    return lambda place: _rounded(low + (high - low) * place, low, high)


def log_uniform(low: float, high: float) -> Draw:
    """Numbers whose logarithm is uniform between two bounds, rounded to 4 digits."""
    _check_bounds("log_uniform", low, high)
    if low <= 0:
        raise ValueError(f"log_uniform: {low} has no logarithm; give bounds above 0")
    return lambda place: _rounded(low * math.exp(math.log(high / low) * place), low, high)


def integers(low: int, high: int) -> Draw:
    """Uniform integers from `low` to `high`, both included."""
    _check_bounds("integers", low, high)
    return lambda place: low + int((high - low + 1) * place)


def _one_of(values: list[Any]) -> Draw:
    return lambda place: values[int(len(values) * place)]


def _listed(values: Mapping[str, Iterable[Any]]) -> dict[str, list[Any]]:
    return {key: _column(key, column) for key, column in values.items()}


def _column(key: str, values: Iterable[Any]) -> list[Any]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ValueError(f"{key}: {values!r} is one value; give a list of them")
    column = list(values)
    if not column:
        raise ValueError(f"{key}: no values; give some, or leave the field out")
    return column


def _check_bounds(name: str, low: float, high: float) -> None:
    if not low < high:
        raise ValueError(f"{name}: {low} is not below {high}")


def _rounded(value: float, low: float, high: float) -> float:
    return min(max(float(f"{value:.4g}"), low), high)
