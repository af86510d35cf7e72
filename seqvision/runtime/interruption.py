"""Ctrl-C, SIGTERM and SIGHUP end a process in order, or become a request to stop and save."""

import contextlib
import functools
import os
import signal
import stat
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

_INPUT = 0


class Ended(KeyboardInterrupt):
    """A signal other than Ctrl-C that ends the process as that does.

    Attributes:
      signal: which one.
    """

    def __init__(self, number: int) -> None:
        """Takes the number of the signal."""
        super().__init__()
        self.signal = signal.Signals(number)


def ending_signals() -> list[signal.Signals]:
    """Ctrl-C, SIGTERM, and, where the terminal is not to outlive the process (nohup), SIGHUP."""
    others = (signal.SIGTERM, signal.SIGHUP)
    return [signal.SIGINT, *(s for s in others if signal.getsignal(s) is not signal.SIG_IGN)]


def end_in_order() -> None:
    """From now on these signals raise `KeyboardInterrupt`, so that what was begun is cleaned up."""
    for number in ending_signals():
        is_ctrl_c = number == signal.SIGINT  # asyncio looks for Python's own handler of it.
        signal.signal(number, signal.default_int_handler if is_ctrl_c else _raise)
    sys.unraisablehook = functools.partial(_raise_again, sys.unraisablehook)


def _raise_again(hook: Callable[[Any], object], ignored: Any) -> None:
    """Where the signal came during a callback whose errors are ignored, such as jax's of gc."""
    error = ignored.exc_value
    if not isinstance(error, KeyboardInterrupt):
        hook(ignored)
        return

    def later(number: int, frame: FrameType | None) -> NoReturn:
        raise error

    signal.signal(signal.SIGALRM, later)
    signal.setitimer(signal.ITIMER_REAL, 0.01)


def _raise(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)  # A second one would end the cleaning up.
    _forget_lost_terminal()
    raise Ended(number)


def _forget_lost_terminal() -> None:
    """Sends what is still printed nowhere if its terminal is gone; it would be an error."""
    for output in (1, 2):
        with contextlib.suppress(OSError):
            if stat.S_ISCHR(os.fstat(output).st_mode) and not os.isatty(output):
                os.dup2(os.open(os.devnull, os.O_WRONLY), output)


def stop_with_input() -> None:
    """Sends this process a SIGTERM when its standard input ends, because its parent has ended."""

    def wait() -> None:
        while os.read(_INPUT, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


class Interruption:
    """A context that records the first Ctrl-C, SIGTERM or SIGHUP; a second Ctrl-C ends at once.

    Attributes:
      signal: the signal that was received; None before.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interruption":
        # Python lets only the main thread set handlers; in others the handlers stay unchanged.
        if threading.current_thread() is threading.main_thread():
            self._previous = {s: signal.signal(s, self._record) for s in ending_signals()}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _record(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = signal.Signals(number)
        _forget_lost_terminal()
        # print() is not safe inside a signal handler.
        os.write(2, f"\n{self.signal.name}: saving before the end\n".encode())
