"""Facts about a run, from its records: what it is, how it ended, how to repeat it."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from seqvision.config.schema import Settings
from seqvision.config.validation import flatten
from seqvision.profiling.throughput import flops_text
from seqvision.reports.curves import metric_label
from seqvision.runs.compatibility import read_settings
from seqvision.runs.files import ENVIRONMENT
from seqvision.runs.records import read_metrics, read_record, read_status
from seqvision.runtime.console import duration_text
from seqvision.tasks.metric_text import format_row

_ENVIRONMENT = {"packages": {"*": str}, "devices": [str], "command": [str], "data": dict}
_FIRST = ("accuracy", "cer", "mae", "map", "exact_match", "loss")
# Where they were written or read changes nothing.
_PLACES = ("data.dir", "data.cache_dir")


class Records(NamedTuple):
    """What a run left beside its weights.

    Attributes:
      workdir: its folder.
      settings: its config.
      rows: of `metrics.jsonl`.
      status: of `status.json`.
      environment: of `environment.json`.
    """

    workdir: Path
    settings: Settings
    rows: list[dict[str, Any]]
    status: dict[str, Any]
    environment: dict[str, Any]

    @classmethod
    def read(cls, workdir: Path) -> "Records":
        """Reads them.

        Raises:
          UserError: there is no run, or one is damaged.
        """
        return cls(
            workdir,
            read_settings(workdir),
            read_metrics(workdir),
            read_status(workdir) or {"status": "running", "step": 0},
            read_record(workdir / ENVIRONMENT, _ENVIRONMENT),
        )


def network_words(settings: Settings) -> str:
    """The network as a phrase."""
    model = settings.model
    layers = f"{model.num_layers} layers" if model.num_layers > 1 else "one layer"
    ways = ", in both directions" if model.bidirectional else ""
    return (
        f"{model.cell} of {layers} of {model.hidden_size} units over"
        f" {model.sequence.replace('_', ' ')}{ways}, readout {model.readout}"
    )


def command_of(records: Records) -> list[str]:
    """The command that trained it, word by word; none where it was trained from Python."""
    program, *arguments = records.environment["command"] or [""]
    if not any(argument.lstrip("-").startswith(("config", "flagfile")) for argument in arguments):
        return []
    module = Path(program).name == "__main__.py"
    start = "python -m seqvision" if module else f"python {shlex.quote(program)}"
    if Path(program).suffix != ".py":
        start = shlex.quote(Path(program).name)
    return [start, *map(shlex.quote, arguments)]


def changed_fields(settings: Settings) -> dict[str, Any]:
    """The fields that are not at their defaults, by dotted name."""
    defaults = flatten(Settings())
    return {
        name: value
        for name, value in flatten(settings).items()
        if value != defaults[name] and name not in _PLACES
    }


def result_rows(metrics: Mapping[str, Any]) -> list[tuple[str, dict[str, str]]]:
    """The metrics of each split as text, the test split first."""
    rows = []
    for split in sorted(metrics, key=("test", "validation", "train").index):
        words = format_row(metrics[split])
        words.pop("count", None)
        names = sorted(words, key=lambda name: _FIRST.index(name) if name in _FIRST else 9)
        rows.append((split, {metric_label(name): words[name] for name in names}))
    return rows


def status_words(records: Records) -> str:
    """How far it came, and in which time."""
    status = records.status["status"]
    step = max([records.status["step"], *(row["step"] for row in records.rows)])
    seconds = records.status.get("seconds") or (records.rows[-1]["seconds"] if records.rows else 0)
    words = f"{status} after {step:,} steps"
    return words + (f" in {duration_text(seconds)}" if seconds else "")


def cost_rows(records: Records, num_parameters: int) -> dict[str, str]:
    """Parameters, speed, and what the time went into."""
    rows = {"parameters": f"{num_parameters:,}", "training": status_words(records)}
    speed = records.status.get("throughput")
    if speed:
        rows["speed"] = f"{speed['examples_per_second']:,.0f} examples/s in training alone"
        rows["work"] = (
            f"{flops_text(speed['flops_per_example'])} for an example,"
            f" {flops_text(speed['flops_per_second'])}/s"
        )
        if speed.get("share_of_peak") is not None:
            rows["of the peak"] = f"{speed['share_of_peak']:.1%}"
        wait = speed.get("input_wait")
        rows["waiting for input"] = (
            "never: all examples lie on the devices" if wait is None else f"{wait:.1%} of the time"
        )
    return rows


def environment_rows(records: Records) -> dict[str, str]:
    """Versions, devices and the commit."""
    found, devices = records.environment, records.environment["devices"]
    versions = ", ".join(f"{name} {version}" for name, version in found["packages"].items())
    return {
        "seqvision": f"{found.get('seqvision')}, git {found.get('git') or 'unknown'}",
        "python": f"{found.get('python')}; {versions}",
        "machine": f"{found.get('platform')}, {found.get('cpus')} CPUs",
        "devices": f"{len(devices)}: {', '.join(devices)}",
        "execution": str(found.get("execution")),
    }
