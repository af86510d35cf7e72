"""A table as `table.json`, as `table.md`, and as lines for the terminal."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from seqvision.runs.files import write_json, write_whole
from seqvision.runtime.console import aligned, duration_text
from seqvision.tables.result import RowResult, spread

JSON, MARKDOWN = "table.json", "table.md"
_HEAD = ("row", "source", "figure", "ours", "parameters", "training", "time", "hardware")


def write_table(folder: Path, config: str, results: Sequence[RowResult]) -> None:
    """Writes both files, each of them whole.

    Args:
      folder: of the table.
      config: its config file.
      results: of its rows.
    """
    content = {"config": config, "rows": [result.to_json() for result in results]}
    write_json(folder / JSON, content)
    write_whole(folder / MARKDOWN, "".join(f"{line}\n" for line in markdown(results)))


def markdown(results: Sequence[RowResult]) -> Iterator[str]:
    """The table in Markdown; then that of the evaluations, if there are any."""
    yield from _markdown_table(
        (*_HEAD, "what differs"),
        [(*_cells(result), _differs(result)) for result in results],
    )
    if rows := _evaluation_rows(results):
        yield ""
        yield from _markdown_table(rows[0], rows[1:])


def table_lines(results: Sequence[RowResult], folder: Path) -> Iterator[str]:
    """The same for a terminal."""
    yield from (line.rstrip() for line in aligned([_HEAD, *map(_cells, results)]))
    for result in results:
        if differs := _differs(result):
            yield f"{result.planned.row.name}: {differs}"
    if rows := _evaluation_rows(results):
        yield from (line.rstrip() for line in aligned(rows))
    yield f"table written to {folder / MARKDOWN} and {folder / JSON}"


def _cells(result: RowResult) -> tuple[str, ...]:
    row = result.planned.row
    return (
        row.name,
        row.source,
        row.figure,
        result.ours,
        "" if result.parameters is None else f"{result.parameters:,}",
        result.training,
        "" if result.seconds is None else duration_text(result.seconds),
        result.hardware,
    )


def _differs(result: RowResult) -> str:
    return "; ".join(part for part in (result.planned.row.differs, result.reason) if part)


def _evaluation_rows(results: Sequence[RowResult]) -> list[tuple[str, ...]]:
    """Head and rows: a column for each name of an evaluation. [] where there are none."""
    names = dict.fromkeys(name for result in results for name in result.evaluations)
    if not names:
        return []
    rows = [
        (
            result.planned.row.name,
            *(
                spread(result.planned.plan.metric, values) if values else "-"
                for values in (result.evaluations.get(name, ()) for name in names)
            ),
        )
        for result in results
    ]
    return [("row", *names), *rows]


def _markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield _line(head)
    yield _line(["---"] * len(head))
    yield from map(_line, rows)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
