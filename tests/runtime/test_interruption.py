"""Signals that end the process in order."""

import os
import pty
import signal
import sys
import time
from collections.abc import Iterator

import pytest

from seqvision.runtime.interruption import Ended, Interruption, end_in_order

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before, hook = {s: signal.getsignal(s) for s in (*SIGNALS, signal.SIGALRM)}, sys.unraisablehook
    yield
    sys.unraisablehook = hook
    for number, handler in before.items():
        signal.signal(number, handler)


class AtItsEnd:
    """Sends a signal where Python ignores the error that comes of it."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.kill(os.getpid(), self.number)
        time.sleep(0)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("is_ignored", [False, True])
def test_they_raise_once(number: int, is_ignored: bool) -> None:
    end_in_order()
    with pytest.raises(KeyboardInterrupt) as found:
        if is_ignored:
            AtItsEnd(number)
        else:
            os.kill(os.getpid(), number)
        for _ in range(100):
            time.sleep(0.05)
    assert isinstance(found.value, Ended) == (number != signal.SIGINT)
    assert getattr(found.value, "signal", signal.SIGINT) == number
    if number != signal.SIGINT:
        os.kill(os.getpid(), number)  # While it cleans up.


@pytest.mark.parametrize("is_nohup", [False, True])
def test_a_lost_terminal_is_a_request_to_save_but_for_nohup(is_nohup: bool) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN if is_nohup else signal.SIG_DFL)
    end_in_order()
    with Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGHUP)
        assert interruption.signal == (None if is_nohup else signal.SIGHUP)


def test_what_is_said_to_a_lost_terminal_is_no_error() -> None:
    """Else a run would fail at its next line, before it has saved."""
    terminal, output = pty.openpty()
    stdout = os.dup(1)
    os.dup2(output, 1)
    os.close(output)
    end_in_order()
    try:
        with Interruption():
            os.kill(os.getpid(), signal.SIGHUP)
            os.write(1, b"still heard")
            os.close(terminal)
            with pytest.raises(OSError, match="Input/output error"):
                os.write(1, b"lost")
            os.kill(os.getpid(), signal.SIGHUP)
            os.write(1, b"no error")
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)
