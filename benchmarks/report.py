"""Results in benchmarks/results/: JSON with every raw number, and Markdown that shows them."""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks import options
from benchmarks.machine import describe_command, describe_machine, describe_versions
from seqvision.runtime.atomic_write import write_atomically


def begin(chosen: argparse.Namespace, name: str, device: str = "", **facts: Any) -> dict[str, Any]:
    """The facts that every result has, and more.

    Args:
      chosen: the options of an `options.Parser`.
      name: of the results where none was chosen; the versions are added.
      device: what was computed on, see `machine.describe_devices`.
      **facts: whatever else is known before measuring.

    Raises:
      UserError: there are results of that name.
    """
    versions = describe_versions()
    name = chosen.name or _default_name(name, versions, device)
    options.check_free(name, chosen.overwrite)
    return {
        "name": name,
        **describe_command(chosen.module),
        "machine": describe_machine(),
        "versions": versions | ({"device": device} if device else {}),
        **facts,
    }


def write(facts: Mapping[str, Any], body: Iterable[str]) -> str:
    """Writes the facts as JSON and the lines of `body`, below a heading, as Markdown.

    Returns:
      The Markdown.
    """
    markdown = "\n".join([*_heading(facts), "", *body]) + "\n"
    options.RESULTS.mkdir(parents=True, exist_ok=True)
    raw = json.dumps(facts, indent=1) + "\n"
    path = options.RESULTS / f"{facts['name']}.json"
    write_atomically(path, lambda file: file.write(raw.encode()))
    path = options.RESULTS / f"{facts['name']}.md"
    write_atomically(path, lambda file: file.write(markdown.encode()))
    return markdown


def table(header: Sequence[str], rows: Iterable[Sequence[str]], num_words: int = 1) -> list[str]:
    """A Markdown table of which the first `num_words` columns hold words, the others numbers."""
    rule = ["---"] * num_words + ["--:"] * (len(header) - num_words)
    return [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)]


def _default_name(name: str, versions: Mapping[str, str], device: str) -> str:
    """For example `streaming-python3.12-jax0.12.0`."""
    parts = [name, f"python{sys.version_info.major}.{sys.version_info.minor}"]
    if "jax" in versions:
        parts.append(f"jax{versions['jax']}")
    if device and "cpu" not in device.lower():
        parts.append("tpu" if "tpu" in device.lower() else "gpu")
    return "-".join(parts)


def _heading(facts: Mapping[str, Any]) -> list[str]:
    return [
        f"# {facts['name']}",
        "",
        f"    {facts['command']}",
        "",
        f"{facts['date']}, commit {facts['commit']}. {_machine_line(facts['machine'])}",
        "",
        f"{', '.join(f'{name} {version}' for name, version in facts['versions'].items())}.",
    ]


def _machine_line(machine: Mapping[str, Any]) -> str:
    gpus = f", {', '.join(machine['gpus'])}" if machine["gpus"] else ""
    cores = f"{machine['cores']} core{'s' * (machine['cores'] != 1)}"
    load = f"load average at the start {machine['load_average']:.1f}"
    return f"{cores} of {machine['cpu']}, {machine['memory']} of memory{gpus}; {load}."
