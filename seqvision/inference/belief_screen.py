"""A terminal view of what a classifier thinks: a bar for each class, redrawn after each step."""

import shutil
import sys
import time

import numpy as np

_MOST_CLASSES = 10
_SECONDS = 2.0
"""A whole image takes so long, whatever its number of steps."""
_SLOWEST = 0.1
_EIGHTHS = " ▏▎▍▌▋▊▉"


class BeliefScreen:
    """The most probable classes as bars, in the order of the classes.

    with BeliefScreen(class_names, num_steps=28) as screen:
        screen.show(probabilities, "row 1")
    """

    def __init__(self, class_names: tuple[str, ...], num_steps: int) -> None:
        """Draws nothing yet.

        Args:
          class_names: of the K classes.
          num_steps: how many steps will be shown.
        """
        self._names = class_names
        self._pause = min(_SLOWEST, _SECONDS / max(num_steps, 1))
        self._drawn = 0

    @staticmethod
    def fits() -> bool:
        """Whether stdout is a terminal with room for the bars."""
        size = shutil.get_terminal_size()
        return sys.stdout.isatty() and size.lines > _MOST_CLASSES + 3 and size.columns > 40

    def __enter__(self) -> "BeliefScreen":
        sys.stdout.write("\x1b[?25l")  # Without a cursor.
        return self

    def __exit__(self, *_: object) -> None:
        sys.stdout.write("\x1b[?25h")
        sys.stdout.flush()

    def show(self, probabilities: np.ndarray, note: str) -> None:
        """Redraws, and waits a little.

        Args:
          probabilities: (K,).
          note: a line below.
        """
        width = shutil.get_terminal_size().columns - 1
        lines = [*bars(self._names, probabilities, width), note[:width]]
        upwards = f"\x1b[{self._drawn}A" if self._drawn else ""
        sys.stdout.write(upwards + "".join(f"\x1b[K{line}\n" for line in lines))
        sys.stdout.flush()
        self._drawn = len(lines)
        time.sleep(self._pause)


def bars(names: tuple[str, ...], probabilities: np.ndarray, width: int) -> list[str]:
    """A line of at most `width` for each of the most probable classes: name, bar, per cent."""
    shown = np.sort(np.argsort(-probabilities, kind="stable")[:_MOST_CLASSES])
    most = min(max(len(names[number]) for number in shown), width // 3)
    room = width - most - len("    100.0%")
    lines = []
    for number in shown:
        eighths = round(8 * room * float(probabilities[number]))
        bar = "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
        lines.append(
            f"{names[number][:most]:<{most}}  {bar:<{room}}  {probabilities[number]:>6.1%}"
        )
    return lines
