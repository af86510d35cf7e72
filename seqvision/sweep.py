"""The mode `sweep`: trains many runs of one config, each in a process of its own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from seqvision.config import command_line
from seqvision.config.schema import Settings
from seqvision.config.validation import validate
from seqvision.sweeps.plan import plan_sweep, read_sweep, shard_of


def train_sweep(
    config: ConfigDict | Settings,
    config_path: str,
    overrides: Mapping[str, Any],
    workdir: Path,
    program: Sequence[str],
    shard: str = "",
    num_workers: int = 1,
    report: bool = False,
) -> int:
    """Trains the runs of a sweep that are not finished yet, and writes a table of all of them.

    Args:
      config: the config that the runs change, see `configs/default.py`.
      config_path: its file, `NAME.py[:VARIANT]`, whose `get_sweep()` lists the runs.
      overrides: fields that the command line changed, by dotted name; they apply to all runs.
      workdir: the folder of the sweep, with a folder for each run; created if missing.
      program: the command that starts a run: Python, main.py and flags.
      shard: `i/n` trains only the i-th of n parts of the runs, i from 0 to n-1; "" trains all.
      num_workers: number of runs at a time.
      report: whether to write a page that puts the runs side by side, see `report.compare_runs`.

    Returns:
      The exit code, see `sweeps.scheduler.run_sweep`.

    Raises:
      UserError: a bad config, sweep or shard, or a folder that cannot be used.
    """
    plan = plan_sweep(validate(config), read_sweep(config_path), overrides)
    runs = shard_of(plan.runs, shard)
    # Imported late, so that a bad sweep ends before jax is loaded.
    from seqvision.sweeps.scheduler import launcher, run_sweep

    launch = launcher(program, config_path, dict(overrides), workdir, num_workers)
    code = run_sweep(plan, runs, workdir, launch, num_workers)
    if report and code < 128:
        from seqvision.report import PAGE, report_at_end, write_plans

        title = workdir.absolute().name
        report_at_end(lambda: write_plans(workdir / PAGE, title, {"": plan}, workdir))
    return code


def run(
    settings: Settings,
    workdir: Path,
    sweep_workers: int,
    sweep_shard: str,
    host_devices: int,
    report: bool,
) -> int:
    """`--mode=sweep`; returns the exit code."""
    # Each run trains alone, even if a cluster's launcher started the sweep.
    alone = (f"--host_devices={host_devices}", "--num_processes=1")
    return train_sweep(
        settings,
        command_line.config_path(),
        command_line.config_overrides(),
        workdir,
        [*command_line.this_program(), *alone],
        sweep_shard,
        sweep_workers,
        report,
    )
