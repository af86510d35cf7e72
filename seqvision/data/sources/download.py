"""Downloads by TFDS that give up soon where no server answers."""

import contextlib
import functools
import threading
from collections.abc import Iterator
from typing import Any

import requests
from tensorflow_datasets.core.download import downloader

ANSWER_SECONDS = 15.0
"""Seconds in which a server has to answer, its name looked up; TFDS alone tries for minutes."""

_STALLED_SECONDS = 60.0


@contextlib.contextmanager
def giving_up_soon(seconds: float = ANSWER_SECONDS) -> Iterator[None]:
    """Here a download first asks whether its server answers at all, through proxies if any.

    Args:
      seconds: to wait for that.

    Raises:
      requests.exceptions.RequestException: in the downloads, where it does not; it names the URL.
    """
    stock = downloader._open_with_requests

    @functools.wraps(stock)
    @contextlib.contextmanager
    def open_url(url: str, **options: Any) -> Iterator[Any]:
        try:
            _check_answers(url, seconds)
            with stock(url, timeout=(seconds, _STALLED_SECONDS), **options) as opened:
                yield opened
        except requests.exceptions.RequestException as error:
            error.args = (f"{url}: {error}",)
            raise

    downloader._open_with_requests = open_url
    try:
        yield
    finally:
        downloader._open_with_requests = stock


def _check_answers(url: str, seconds: float) -> None:
    """Asks in a thread: looking up a name knows no limit of time."""
    error: list[Exception] = [requests.exceptions.ConnectTimeout(f"no answer in {seconds:.0f} s")]

    def ask() -> None:
        try:
            requests.get(url, stream=True, timeout=seconds).close()
            error.clear()
        except requests.exceptions.RequestException as reason:
            error[0] = reason

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(seconds)
    if error:
        raise error[0]
