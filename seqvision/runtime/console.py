"""Output on the console: lines, a progress bar, tables."""

import contextlib
import logging
import sys
from collections.abc import Iterable, Iterator

from tqdm import tqdm

from seqvision.runtime.processes import is_primary


def on_terminal() -> bool:
    return is_primary() and sys.stderr.isatty()


def say(line: str) -> None:
    """Prints a line above the progress bar and flushes; only the primary process prints."""
    if is_primary():
        tqdm.write(line, file=sys.stdout)
        sys.stdout.flush()


@contextlib.contextmanager
def quiet(*logger_names: str) -> Iterator[None]:
    """Keeps what these loggers of other packages report, short of errors, off the screen."""
    loggers = [logging.getLogger(name) for name in logger_names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def duration_text(seconds: float) -> str:
    """Formats seconds as `1:02:03` or `2:03`."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def aligned(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Aligns the columns of a table: the last to the right, the others to the left."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for *cells, last in rows:
        left = [f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=False)]
        yield "  " + "  ".join([*left, f"{last:>{widths[-1]}}"])
