"""Seconds from nothing to 98.5 % of the MNIST test set.

    python -m benchmarks.speed.time_to_accuracy --contenders=seqvision,torch_usual

The clock starts just before a process is started and is read when it prints its test accuracy, so
imports, reading data and compiling count. seqvision runs `main.py` with a config, and looks at the
test set once. The peers train the same model in the `usual` way (Adam 1e-3, the test set after
every epoch, until the target is reached or for 20 epochs) or by `ours`, the recipe of that config.
MNIST is prepared for seqvision beforehand, off the clock; the peers unpack the files on it.
What compiles runs twice: with an empty cache of compiled programs (cold), then with that of the
first run (warm).
"""

import argparse
import dataclasses
import math
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import options, report
from benchmarks.accuracy.recipe import Recipe
from benchmarks.progress import Progress
from benchmarks.speed.shared_recipe import recipe_of, usual_of
from benchmarks.speed.timed_run import TimedRun, follow
from seqvision.errors import UserError

CONTENDERS = ("seqvision", "torch_usual", "torch_ours", "keras_usual", "keras_ours")
_CONFIG = "configs/row_lstm.py:fast"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """See `options.Parser.parse`."""
    parser = options.Parser("benchmarks.speed.time_to_accuracy", __doc__)
    add = parser.add_argument
    add("--config", default=_CONFIG, help=f"what seqvision trains; by default {_CONFIG}")
    add("--target", type=options.positive, default=98.5, help="accuracy in %%; by default 98.5")
    add("--seeds", type=options.seeds, default=[0, 1, 2, 3, 4], help="by default 0,1,2,3,4")
    options.add_contenders(parser, CONTENDERS, "all")
    chosen = parser.parse(arguments)
    chosen.contenders = chosen.contenders or CONTENDERS
    return chosen


def command_of(
    contender: str, seed: int, chosen: argparse.Namespace, recipe: Recipe, workdir: Path
) -> list[str]:
    """The command line of one run."""
    library, _, kind = contender.partition("_")
    if library == "seqvision":
        run = [f"--config={chosen.config}", f"--config.seed={seed}", f"--workdir={workdir}"]
        return [sys.executable, "main.py", *run, "--report=false"]
    python = chosen.torch_python if library == "torch" else chosen.keras_python
    own = recipe if kind == "ours" else usual_of(recipe, chosen.target)
    arguments = dataclasses.replace(own, seed=seed).arguments()
    return [python, "-m", f"benchmarks.accuracy.{library}_mnist", *arguments]


def plan(chosen: argparse.Namespace) -> list[TimedRun]:
    """All runs, seed by seed, so that what drifts, drifts for all contenders."""
    return [
        TimedRun(contender, seed, cache)
        for seed in chosen.seeds
        for caches in (("cold", "none"), ("warm",))
        for contender in chosen.contenders
        for cache in caches
        # PyTorch compiles nothing here.
        if (cache == "none") == contender.startswith("torch")
    ]


def body(facts: Mapping[str, Any], runs: Sequence[TimedRun]) -> list[str]:
    """A row for each contender and cache; every seed is shown."""
    seeds, target = facts["seeds"], facts["target"]
    rows = []
    for contender, cache in dict.fromkeys((run.contender, run.cache) for run in runs):
        mine = {run.seed: run for run in runs if (run.contender, run.cache) == (contender, cache)}
        times = [run.reached(target) for run in mine.values()]
        middle = statistics.median(math.inf if seconds is None else seconds for seconds in times)
        median = f"{middle:.1f}" if middle < math.inf else "not reached"
        if None in times:
            reached = sum(seconds is not None for seconds in times)
            median += f" ({reached} of {len(times)} reached it)"
        rows.append([contender, cache, median, *(_cell(mine.get(seed), target) for seed in seeds)])
    header = ["contender", "compile cache", "median, s", *(f"seed {seed}" for seed in seeds)]
    left_out = ", ".join(f"{name} = {value}" for name, value in facts["left_out"].items())
    return [
        "Seconds from the start of the process until it printed a test accuracy of"
        f" {target} % or more. In medians, a run that did not reach it took for ever. MNIST is"
        " prepared for seqvision beforehand, off the clock; the peers unpack its files on it.",
        "",
        f"Of {facts['config']}, the recipe `ours` leaves out: {left_out or 'nothing'}. Input"
        " kernels and classifiers start as each library has them.",
        "",
        *report.table(header, rows, num_words=2),
        *([""] if facts["missing"] else []),
        *(f"- `{name}`: left out: {why}" for name, why in facts["missing"].items()),
    ]


def measure(
    chosen: argparse.Namespace, recipe: Recipe, facts: dict[str, Any], folder: Path
) -> None:
    """Run by run; the results are written after each.

    Args:
      chosen: the options.
      recipe: of `ours`.
      facts: written with the runs; contenders that are not installed go into `missing`.
      folder: for compiled programs and workdirs.
    """
    runs, done = plan(chosen), []
    progress = Progress(len(runs))
    if "seqvision" in chosen.contenders:
        progress.show("seqvision: prepares MNIST, which is not timed")
        _prepare(chosen, recipe, folder)
    for run in runs:
        if run.contender not in facts["missing"]:
            progress.show(f"seed {run.seed}, {run.contender}, cache {run.cache}")
            cache = folder / f"{run.contender}-{run.seed}"
            workdir = folder / f"{cache.name}-{run.cache}"
            command = command_of(run.contender, run.seed, chosen, recipe, workdir)
            follow(run, command, _compilation_cache(cache))
            if run.error is not None and "ModuleNotFoundError" in run.error:
                facts["missing"][run.contender] = run.error
                print(f"{run.contender}: left out: {run.error}", file=sys.stderr)
            else:
                done.append(run)
                text = _cell(run, chosen.target)
                print(f"{run.contender}, seed {run.seed}, {run.cache}: {text}", flush=True)
            raw = {"runs": [dataclasses.asdict(run) for run in done]}
            report.write(facts | raw, body(facts, done))
        progress.advance()


def main(arguments: Sequence[str]) -> int:
    chosen = parse(arguments)
    recipe, left_out = recipe_of(chosen.config)
    facts = report.begin(
        chosen,
        "time_to_accuracy",
        config=chosen.config,
        recipe=dataclasses.asdict(recipe),
        left_out=left_out,
        target=chosen.target,
        seeds=chosen.seeds,
        missing={},
    )
    with tempfile.TemporaryDirectory() as folder:
        measure(chosen, recipe, facts, Path(folder))
    print(f"benchmarks/results/{facts['name']}.md and .json")
    return 0


def _prepare(chosen: argparse.Namespace, recipe: Recipe, folder: Path) -> None:
    """Two steps of training: MNIST is prepared for all runs behind it."""
    run = TimedRun("seqvision", 0, "cold")
    short = ["--config.duration=2 steps", "--config.schedule.warmup=1 steps"]
    command = command_of("seqvision", 0, chosen, recipe, folder / "prepare")
    follow(run, [*command, *short], _compilation_cache(folder / "prepare-cache"))
    if run.error is not None:
        raise UserError(f"seqvision does not run: {run.error}")


def _compilation_cache(folder: Path) -> dict[str, str]:
    """Makes JAX keep all programs there, small ones too, as seqvision does by itself."""
    return {
        "JAX_COMPILATION_CACHE_DIR": str(folder),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


def _cell(run: TimedRun | None, target: float) -> str:
    if run is None:
        return ""
    if run.error is not None:
        return f"failed: {run.error}"
    seconds = run.reached(target)
    return f"{seconds:.1f}" if seconds is not None else f"not reached, best {run.best:.2f} %"


if __name__ == "__main__":
    sys.exit(options.run(main))
