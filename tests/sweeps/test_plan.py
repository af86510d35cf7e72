"""Plans: names of runs, shards, and the sweeps that are refused."""

import importlib
from pathlib import Path
from typing import Any

import pytest

from seqvision.config.validation import validate
from seqvision.errors import UserError
from seqvision.sweeps.plan import plan_sweep, read_sweep, shard_of
from seqvision.sweeps.search_space import grid
from tests.sweeps.plans import base, plan_of


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([{"optimizer.learning_rat": 1.0}], "did you mean 'optimizer.learning_rate'?"),
        ([{"seed": 1}, {"sed": 2}], "run 2 of 2: config.sed: no such field; did you mean 'seed'?"),
        ([{"model": 1}], "config.model: it is a section; name one of its fields, such as 'model."),
        ([{"data.batch_size": "64"}], "config.data.batch_size: '64' is a str"),
        ([{"data.batch_size": 6.5}], "config.data.batch_size: 6.5 is a float"),
        ([{"duration": "1 day"}], "config.duration: '1 day' is not a duration"),
        ([{"optimizer.name": "adm"}], "did you mean 'adam'?"),
        ([{"optimizer.learning_rate": -1.0}], "-1.0 is out of range"),
        ([{"optimizer.momentum": 0.9}], "0.9 has no effect with adam"),
        ([{"seed": 1}, {"seed": 2}, {"seed": 1}], "run 3 of 3: it is run 1 again, seed=1"),
        ([{"optimizer.learning_rate": 1}, {"optimizer.learning_rate": 1.0}], "it is run 1 again"),
        ([{}, {"seed": 0}], "it is run 1 again"),  # The default is 0.
        ([{"data.dir": "a b"}, {"data.dir": "ab"}], "its folder would be that of run 1"),
        ([["seed", 1]], r"\['seed', 1\] is no dict"),
        ([{"data.source": "digit_lines", "model.readout": "per_step",
           "model.sequence": "columns"}, {}], "mixes text-reading and classification runs"),
    ],
    ids=str,
)  # fmt: skip
def test_sweeps_that_cannot_be(runs: list[Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        plan_sweep(base(), runs)
    assert "\n" not in str(error.value)


def test_the_command_line_sets_what_the_sweep_leaves(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config.seed: the sweep varies it"):
        plan_sweep(base(), grid({"seed": [1, 2]}), fixed=["seed"])
    assert len(plan_sweep(base(), grid({"seed": [1, 2]}), fixed=["data.batch_size"]).runs) == 2


def test_names_are_of_the_overrides_alone() -> None:
    few = plan_of(*grid({"seed": [1, 2], "data.batch_size": [64]}))
    more = plan_of(*grid({"data.batch_size": [32, 64], "seed": [0, 2, 1]}))
    assert [run.name for run in few.runs] == [
        "data.batch_size=64,seed=1",
        "data.batch_size=64,seed=2",
    ]
    assert {run.name for run in few.runs} < {run.name for run in more.runs}


def test_names_that_folders_can_bear() -> None:
    plan = plan_of(
        {},
        {"model.cnn_channels": (16, 32), "duration": "3 epoch"},
        {"optimizer.learning_rate": 3e-4},
        {"data.name": "emnist/letters"},
        {"data.name": "emnist letters"},
        {"init_from": "x" * 300},
        {"init_from": "x" * 299 + "y"},
    )
    names = [run.name for run in plan.runs]
    assert names[:3] == [
        "base",
        "duration=3epochs,model.cnn_channels=16x32",
        "optimizer.learning_rate=0.0003",
    ]
    assert names[3].startswith("data.name=emnist-letters-")
    assert names[4] == "data.name=emnistletters"
    assert len({*names}) == len(names)
    assert max(map(len, names)) == 120


@pytest.mark.parametrize("num_shards", [1, 2, 3, 5, 20])
def test_shards_are_disjoint_and_together_all(num_shards: int) -> None:
    runs = plan_of(*grid({"seed": range(12)})).runs
    shards = [shard_of(runs, f"{i}/{num_shards}") for i in range(num_shards)]
    together = [run.name for shard in shards for run in shard]
    assert sorted(together) == sorted(run.name for run in runs)
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
    assert shard_of(runs, "") == list(runs)


@pytest.mark.parametrize("text", ["3/3", "1", "-1/3", "0/0", "a/b", "1/3/5", " 0/3"])
def test_shards_that_are_none(text: str) -> None:
    with pytest.raises(UserError, match="write i/n with i from 0 to n-1"):
        shard_of([], text)


@pytest.mark.parametrize("name", ["cells", "learning_rate_and_size"])
def test_shipped_sweeps(name: str) -> None:
    path = f"configs/sweeps/{name}.py"
    assert f"--config={path} --mode=sweep" in Path(path).read_text()
    module = importlib.import_module(f"configs.sweeps.{name}")
    assert len(plan_sweep(validate(module.get_config()), read_sweep(path)).runs) == 12
