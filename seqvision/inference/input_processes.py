"""Files of the user's that are read and decoded by several processes, in order."""

import collections
import contextlib
import itertools
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from seqvision.errors import UserError
from seqvision.inference.inputs import Input
from seqvision.runtime.cpu_devices import usable_cores

ReadFiles = Callable[[Iterable[Path]], Iterator[Input]]
"""Reads files one by one, as they are asked for; to be pickled."""

_MOST_PROCESSES = 16
# A process for so many files: less is not worth its start.
_FILES_EACH = 32
# Files that are read here first: they tell how large the others are, and how long they take.
_SAMPLE = 8
# Of what a process gives at once: when a command is stopped, it waits for that.
_CHUNK_SECONDS = 0.2
_CHUNK_BYTES = 2**20
_MOST_FILES = 64
# Of what is read ahead, so that the processes go on while the network is compiled.
_AHEAD_BYTES = 2**26


@contextlib.contextmanager
def file_processes(num_files: int) -> Iterator[ProcessPoolExecutor | None]:
    """Processes that read files, one a core; None where these are few, or there is one core.

    To be started early: they import while this process does other things. They end with it,
    whatever ends it, and leave signals to it.
    """
    count = min(usable_cores(), _MOST_PROCESSES, num_files // _FILES_EACH)
    if count < 2:
        yield None
        return
    # What is forked may hold locks of jax's threads.
    pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _end_with_parent)
    # Blocked in what is started here: Ctrl-C goes to all processes of a terminal.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        for _ in range(count):
            pool.submit(os.getpid)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def read_in_processes(
    read: ReadFiles,
    paths: Sequence[Path],
    pool: ProcessPoolExecutor | None,
    advance: Callable[[int], object] = lambda count: None,
) -> Iterator[Input]:
    """What `read` gives for files, in their order.

    Processes read them, since Python's lock lets threads decode large pictures only: two threads
    read fewer small ones a second than one does. `.npz` files, of many examples each, and all files
    where there is no pool are read in this process, as they are asked for.

    Args:
      read: see `ReadFiles`.
      paths: the files.
      pool: see `file_processes`.
      advance: called with the number of files that were read since the last call.

    Raises:
      UserError: see `read`; or one of the processes was ended from outside.
    """
    begun, largest = time.monotonic(), 1
    for path in paths[:_SAMPLE]:
        for one in read([path]):
            largest = max(largest, 0 if one.array is None else one.array.nbytes)
            yield one
        advance(1)
    each = (time.monotonic() - begun) / _SAMPLE
    size = max(1, min(_CHUNK_BYTES // largest, int(_CHUNK_SECONDS / each), _MOST_FILES))
    most = max(2 * _MOST_PROCESSES, _AHEAD_BYTES // (size * largest))
    for count, inputs in _ahead(read, _chunks(paths[_SAMPLE:], size), pool, most):
        yield from inputs
        advance(count)


def _chunks(paths: Sequence[Path], size: int) -> Iterator[list[Path]]:
    """Files that are read together; a `.npz` file alone."""
    for is_npz, group in itertools.groupby(paths, key=_is_npz):
        files = list(group)
        step = 1 if is_npz else size
        yield from (files[start : start + step] for start in range(0, len(files), step))


def _is_npz(path: Path) -> bool:
    return path.suffix.lower() == ".npz"


def _ahead(
    read: ReadFiles, chunks: Iterator[list[Path]], pool: ProcessPoolExecutor | None, most: int
) -> Iterator[tuple[int, Iterable[Input]]]:
    """The number of files and the inputs of each chunk; no more than `most` chunks are begun."""
    begun: collections.deque[tuple[int, Future[list[Input]] | Iterator[Input]]]
    begun = collections.deque()
    while True:
        for chunk in itertools.islice(chunks, most - len(begun)):
            if pool is None or _is_npz(chunk[0]):
                begun.append((len(chunk), read(chunk)))
            else:
                begun.append((len(chunk), pool.submit(_all_of, read, chunk)))
        if not begun:
            return
        count, inputs = begun.popleft()
        yield count, _result(inputs) if isinstance(inputs, Future) else inputs


def _all_of(read: ReadFiles, paths: list[Path]) -> list[Input]:
    return list(read(paths))


def _result(future: Future[list[Input]]) -> list[Input]:
    try:
        return future.result()
    except BrokenProcessPool:
        raise UserError(
            "a process that reads files was ended from outside, perhaps for want of memory; make"
            " some free, or name fewer files with --inputs"
        ) from None


def _end_with_parent() -> None:
    """In a started process: waits for the end of the one that started it."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> Any:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
