"""The table of contenders beside each other, and how each was measured."""

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.report import table
from benchmarks.speed.cases import Case
from benchmarks.speed.comparison import Measurement, ratio

OWN = "seqvision"

Results = Sequence[tuple[Case, Mapping[str, Measurement]]]


def raw_cases(results: Results) -> list[dict[str, Any]]:
    """All raw numbers, for JSON."""
    return [
        {
            "case": dataclasses.asdict(case),
            "contenders": {name: dataclasses.asdict(m) for name, m in measurements.items()},
        }
        for case, measurements in results
    ]


def body(facts: Mapping[str, Any], results: Results) -> list[str]:
    """A table of medians, how they were measured, and what did not work, as Markdown."""
    contenders = list(facts["contenders"])
    others = [name for name in contenders if name != OWN] if OWN in contenders else []
    header = [
        "network", "mode", "H", "B", "T", "D",
        *(f"{name}, ms" for name in contenders),
        *(f"{name} / {OWN}" for name in others),
    ]  # fmt: skip
    rows = []
    for case, measurements in results:
        sizes = (case.hidden_size, case.batch_size, case.num_steps, case.num_features)
        times = [_time(measurements.get(name)) for name in contenders]
        ratios = [_ratio(measurements.get(name), measurements.get(OWN)) for name in others]
        rows.append([case.network, case.mode, *map(str, sizes), *times, *ratios])
    return [
        *_introduction(facts),
        "",
        *table(header, rows, num_words=2),
        *_settings(results),
        *_errors(results),
    ]


def _introduction(facts: Mapping[str, Any]) -> list[str]:
    versions = [
        f"- `{name}`: {', '.join(f'{key} {value}' for key, value in versions.items())}"
        for name, versions in facts["contenders"].items()
    ]
    missing = [f"- `{name}`: left out: {why}" for name, why in facts["missing"].items()]
    return [
        *versions,
        *missing,
        "",
        *_differences(facts),
        f"ms per step: median (lowest-highest) of {facts['rounds']} rounds of about"
        f" {facts['seconds']:g} s, contenders in turn, each with the fastest of its settings. A"
        f" ratio above 1 means that {OWN} is so many times as fast.",
    ]


def _differences(facts: Mapping[str, Any]) -> list[str]:
    """Differences between the contenders: the version of jax, and the use of the CPU."""
    users: dict[str, list[str]] = {}
    for name, versions in facts["contenders"].items():
        if "jax" in versions:
            users.setdefault(versions["jax"], []).append(f"`{name}`")
    lines = []
    if len(users) > 1:
        parts = [f"{', '.join(names)} with {version}" for version, names in users.items()]
        lines.append(f"The contenders ran on different versions of jax: {'; '.join(parts)}.")
    if any(name.startswith(OWN) for name in facts["contenders"]):
        lines.append(
            f"On a CPU {OWN} runs one single-threaded device per core (8 at most); Flax, PyTorch"
            " and Keras run one device with all threads, their default."
        )
    return [*lines, ""] if lines else []


def _time(measurement: Measurement | None) -> str:
    if measurement is None or measurement.median is None:
        return "-"
    ms = measurement.ms
    return f"{_figure(measurement.median)} ({_figure(min(ms))}-{_figure(max(ms))})"


def _figure(ms: float) -> str:
    return f"{ms:.3g}" if ms < 100 else f"{ms:.0f}"


def _ratio(peer: Measurement | None, own: Measurement | None) -> str:
    value = ratio(peer, own)
    return "-" if value is None else f"{value:.2f}"


def _settings(results: Results) -> list[str]:
    """The setting that each contender ran with, where it had a choice."""
    lines = []
    for case, measurements in results:
        for name, measurement in measurements.items():
            trials = [
                f"{setting}: {_figure(statistics.median(ms))}"
                for setting, ms in measurement.trials_ms.items()
            ]
            if len(trials) > 1:
                text = f"{measurement.setting} ({'; '.join(trials)})"
                lines.append(f"- {case.name}, `{name}`: {text}")
    return _section("Settings chosen, and ms per step of each (median) in the trial:", lines)


def _errors(results: Results) -> list[str]:
    lines = []
    for case, measurements in results:
        for name, measurement in measurements.items():
            if measurement.error is not None:
                lines.append(f"- {case.name}, `{name}`: {measurement.error}")
            for setting, why in measurement.failed.items():
                lines.append(f"- {case.name}, `{name}`, {setting}: {why}")
    return _section("Did not work:", lines)


def _section(title: str, lines: list[str]) -> list[str]:
    return ["", title, "", *lines] if lines else []
