"""Turns Ctrl-C and SIGTERM into a stop request, honoured at safe points."""

import os
import signal
import threading
from types import FrameType
from typing import Any

_INPUT = 0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def stop_with_input() -> None:
    """Sends this process a SIGTERM when its standard input ends, because its parent has ended."""

    def wait() -> None:
        while os.read(_INPUT, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


class Interruption:
    """A context that records the first Ctrl-C or SIGTERM; a second Ctrl-C ends at once.

    Attributes:
      signal: the signal that was received; None before.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interruption":
        # Python lets only the main thread set handlers; in others the handlers stay unchanged.
        if threading.current_thread() is threading.main_thread():
            self._previous = {s: signal.signal(s, self._record) for s in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _record(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = signal.Signals(number)
        # print() is not safe inside a signal handler.
        os.write(2, f"\n{self.signal.name}: saving before the end\n".encode())
