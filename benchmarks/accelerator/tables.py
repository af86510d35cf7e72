"""Results as Markdown: a table for each heading of each part, the card and versions beside it."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import report

_WORDS = {
    "running": "under way",
    "done": "ended well",
    "failed": "FAILED",
    "cut": "CUT by its limit: what it had found stands below",
}


def markdown(results: Mapping[str, Any], all_parts: Sequence[str]) -> str:
    """The whole text.

    Args:
      results: of `runner.run_parts`.
      all_parts: names of parts; those that did not run are named.
    """
    on = f"{results['card']}; {', '.join(f'{k} {v}' for k, v in results['versions'].items())}"
    lines = ["# Measured on an accelerator", "", f"    {results['command']}", ""]
    lines += [f"{results['date']}, commit {results['commit']}. {results['machine']['cpu']},"]
    lines += [f"{results['machine']['cores']} cores. On {on}.", ""]
    for name, part in results["parts"].items():
        lines += [f"## {name}: {_WORDS[part['status']]} ({part['seconds']:.0f} s)", ""]
        if part.get("stderr"):
            lines += ["Last lines of its stderr:", "", *(f"    {x}" for x in part["stderr"]), ""]
        lines += _entries("Failed", part.get("failed", []))
        rows = part.get("rows", [])
        for heading in dict.fromkeys(row["table"] for row in rows):
            mine = [row for row in rows if row["table"] == heading]
            lines += [f"{heading}. {on}.", "", *_table(mine), ""]
        lines += _entries("Left out", part.get("left_out", []))
    missing = [name for name in all_parts if name not in results["parts"]]
    if missing:
        lines += [f"Not run (yet): {', '.join(missing)}.", ""]
    return "\n".join(lines)


def _table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    names = [n for n in dict.fromkeys(n for row in rows for n in row) if n not in ("table", "all")]
    words = sum(any(isinstance(row.get(name), str) for row in rows) for name in names)
    # Words first, as tables have them.
    names.sort(key=lambda name: not any(isinstance(row.get(name), str) for row in rows))
    return report.table(names, ([_cell(row.get(n)) for n in names] for row in rows), words)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", "\\|")


def _entries(title: str, entries: Sequence[Mapping[str, str]]) -> list[str]:
    if not entries:
        return []
    return [f"{title}:", "", *(f"- {one['case']}: {one['reason']}" for one in entries), ""]
