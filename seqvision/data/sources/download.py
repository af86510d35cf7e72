"""Downloads by TFDS that give up soon where no server answers."""

import contextlib
import functools
import logging
import threading
from collections.abc import Iterator
from typing import Any

import requests
from tensorflow_datasets.core.download import downloader

ANSWER_SECONDS = 15.0
"""Seconds in which a server has to answer, its name looked up; TFDS alone tries for minutes."""

# Of one that says that it is busy, or cuts the connection; TFDS has 10, with growing pauses.
_RETRIES = 2


@contextlib.contextmanager
def giving_up_soon(seconds: float = ANSWER_SECONDS) -> Iterator[None]:
    """Here a download ends where its server does not answer, through proxies if any.

    Args:
      seconds: to wait for the answer, all tries together; later, for each piece of the file.

    Raises:
      requests.exceptions.RequestException: in the downloads, where it does not; it names the URL.
    """
    stock, retries = downloader._open_with_requests, downloader.MAX_RETRIES
    # Not put back: a try that was given up may warn later.
    logging.getLogger("urllib3").setLevel(logging.ERROR)

    @functools.wraps(stock)
    @contextlib.contextmanager
    def open_url(url: str, **options: Any) -> Iterator[Any]:
        try:
            opening = _Opening(stock(url, timeout=seconds, **options), seconds)
            with opening as opened:
                yield opened
        except requests.exceptions.RequestException as error:
            error.args = (f"{url}: {error}",)
            raise

    downloader._open_with_requests, downloader.MAX_RETRIES = open_url, _RETRIES
    try:
        yield
    finally:
        downloader._open_with_requests, downloader.MAX_RETRIES = stock, retries


class _Opening:
    """A context that is entered in a thread, since looking up a name knows no limit of time.

    Args:
      context: what is entered.
      seconds: after which `requests.exceptions.ConnectTimeout` is raised.
    """

    def __init__(self, context: contextlib.AbstractContextManager[Any], seconds: float) -> None:
        self._context, self._seconds = context, seconds
        self._entered: list[Any] = []
        self._error: list[BaseException] = []
        self._is_late = False
        self._lock = threading.Lock()

    def __enter__(self) -> Any:
        thread = threading.Thread(target=self._enter, daemon=True)
        thread.start()
        thread.join(self._seconds)
        with self._lock:
            self._is_late = not (self._entered or self._error)
        if self._is_late:
            raise requests.exceptions.ConnectTimeout(f"no answer in {self._seconds:.0f} s")
        if self._error:
            raise self._error[0]
        return self._entered[0]

    def _enter(self) -> None:
        try:
            opened = self._context.__enter__()
        except BaseException as error:
            self._error.append(error)
            return
        with self._lock:
            if not self._is_late:
                self._entered.append(opened)
                return
        self._context.__exit__(None, None, None)

    def __exit__(self, *raised: Any) -> bool | None:
        return self._context.__exit__(*raised)
