"""A terminal view of a line of writing that runs past, with its text below."""

import shutil
import sys
import time

import numpy as np

_MOST_COLUMNS = 100
_COLUMNS_PER_SECOND = 200
# Pixels above it are ink.
_INK = 96
_BLOCKS = np.array(list(" ▄▀█"))


class LineScreen:
    """The last columns of a line, redrawn in place at the pace of a pen.

        with LineScreen(height=32) as screen:
            screen.show(columns, "73", "4", "...")

    Attributes:
      width: columns, and letters, that fit in a row of it.
    """

    def __init__(self, height: int) -> None:
        """Draws nothing yet; `height` is that of a column, in pixels."""
        self.width = min(_MOST_COLUMNS, shutil.get_terminal_size().columns - 1)
        self._columns = np.zeros((height, self.width), np.uint8)
        self._drawn = 0

    @staticmethod
    def fits(height: int) -> bool:
        """Whether stdout is a terminal with room for columns of that height and the text."""
        size = shutil.get_terminal_size()
        return sys.stdout.isatty() and size.lines > -(-height // 2) + 3 and size.columns > 20

    def __enter__(self) -> "LineScreen":
        self._due = time.monotonic()
        sys.stdout.write("\x1b[?25l")  # Without a cursor.
        return self

    def __exit__(self, *_: object) -> None:
        sys.stdout.write("\x1b[?25h")
        sys.stdout.flush()

    def show(self, columns: np.ndarray, text: str, open_letter: str, note: str) -> None:
        """Waits until a pen would have written these columns, then redraws.

        Args:
          columns: the next ones, (height, n) uint8, light ink on dark.
          text: the final letters so far.
          open_letter: the letter that has begun and is not final, shown in bold.
          note: a line below.
        """
        now = time.monotonic()
        # Never faster than a pen, also after a delay.
        self._due = max(self._due + columns.shape[1] / _COLUMNS_PER_SECOND, now)
        time.sleep(self._due - now)
        self._columns = np.concatenate([self._columns, columns], axis=1)[:, -self.width :]
        room = self.width - len(open_letter)
        lines = [
            *half_blocks(self._columns),
            f"{text[-room:]}\x1b[1m{open_letter}\x1b[0m",
            note[: self.width],
        ]
        upwards = f"\x1b[{self._drawn}A" if self._drawn else ""
        sys.stdout.write(upwards + "".join(f"\x1b[K{line}\n" for line in lines))
        sys.stdout.flush()
        self._drawn = len(lines)


def half_blocks(columns: np.ndarray) -> list[str]:
    """The rows of a picture (height, width) as block characters, each two pixels high."""
    ink = columns > _INK
    ink = np.pad(ink, ((0, len(ink) % 2), (0, 0)))
    return ["".join(row) for row in _BLOCKS[2 * ink[::2] + ink[1::2]]]
