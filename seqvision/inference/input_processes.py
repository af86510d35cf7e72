"""Files of the user's that are read and decoded by several processes, in order."""

import collections
import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from seqvision.errors import UserError
from seqvision.inference.inputs import Input, ReadFiles
from seqvision.runtime.cpu_devices import usable_cores

_MOST_PROCESSES = 16
# A process for so many files: less is not worth its start.
_FILES_EACH = 32
# Of what a process gives at once.
_CHUNK_FILES, _CHUNK_BYTES = 32, 2**20
# Of what is read ahead, so that the processes go on while the network is compiled.
_AHEAD_FILES, _AHEAD_BYTES = 4096, 2**26
_NPZ = ".npz"


class FileProcesses(NamedTuple):
    """A pool, and how many processes it has."""

    pool: ProcessPoolExecutor
    number: int


@contextlib.contextmanager
def file_processes(num_files: int) -> Iterator[FileProcesses | None]:
    """Processes that read files: at most one a core, each for 32 files or more.

    None where that is fewer than two, or where the system starts none. To be started early: they
    import while this process does other things. They end with the block, whatever they are doing,
    and with this process, whatever ends it.

    They import the main module, so only a command may call this: a script without
    `if __name__ == "__main__":` would be run once more by each.
    """
    count = min(usable_cores(), _MOST_PROCESSES, num_files // _FILES_EACH)
    if count < 2:
        yield None
        return
    # What is forked may hold locks of jax's threads.
    context = multiprocessing.get_context("spawn")
    with contextlib.ExitStack() as stack:
        try:
            reader, writer = context.Pipe(duplex=False)
            stack.callback(writer.close)
            pool = ProcessPoolExecutor(count, context, _end_with, (reader,))
            stack.callback(pool.shutdown, wait=False, cancel_futures=True)
            with _ctrl_c_is_for_this_process():
                for _ in range(count):
                    pool.submit(os.getpid)
        except OSError:  # Without shared memory, or at a limit of processes.
            pool = None
        yield None if pool is None else FileProcesses(pool, count)


@contextlib.contextmanager
def _ctrl_c_is_for_this_process() -> Iterator[None]:
    """Blocks SIGINT in processes that are started now: a terminal sends it to all."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with(reader: Connection) -> None:
    """In a started process: ends it when the other end of the pipe is closed, or its owner ends."""

    def wait() -> None:
        reader.poll(None)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def read_in_processes(
    read: ReadFiles,
    paths: Sequence[Path],
    processes: FileProcesses | None,
    advance: Callable[[int], object] = lambda count: None,
) -> Iterator[Input]:
    """What `read` gives for files, in their order.

    Processes read them, since Python's lock lets threads decode large pictures only: two threads
    read fewer small ones a second than one does. `.npz` files, which may have many examples, are
    read in this one as they are asked for, as is everything where there are no others.

    Args:
      read: see `ReadFiles`.
      paths: the files.
      processes: see `file_processes`.
      advance: called with the number of files that were read since the last call.

    Raises:
      UserError: see `read`; or one of the processes was ended from outside.
    """
    if processes is None:
        for path in paths:
            yield from read([path])
            advance(1)
        return
    try:
        yield from _Reading(read, paths, processes).inputs(advance)
    except BrokenProcessPool:
        raise UserError(
            "a process that reads files was ended from outside, perhaps for want of memory; make"
            " some free, or name fewer files with --inputs"
        ) from None


class _Reading:
    """Files that are read ahead of their use, as far as the memory for that reaches."""

    def __init__(self, read: ReadFiles, paths: Sequence[Path], processes: FileProcesses) -> None:
        self._read, self._processes = read, processes
        self._paths = collections.deque(paths)
        self._begun: collections.deque[tuple[int, Iterator[Input] | Future[list[Input]]]]
        self._begun = collections.deque()
        self._num_begun = 0
        self._largest = 0  # Bytes of an input.

    def inputs(self, advance: Callable[[int], object]) -> Iterator[Input]:
        while self._paths or self._begun:
            self._begin()
            count, inputs = self._begun.popleft()
            for one in inputs.result() if isinstance(inputs, Future) else inputs:
                self._largest = max(self._largest, 0 if one.array is None else one.array.nbytes)
                yield one
            self._num_begun -= count
            advance(count)

    def _begin(self) -> None:
        each = self._largest or _CHUNK_BYTES  # None was read yet.
        most = max(2 * self._processes.number, min(_AHEAD_FILES, _AHEAD_BYTES // each))
        size = max(1, min(_CHUNK_FILES, _CHUNK_BYTES // each, most // self._processes.number))
        while self._paths and self._num_begun < most:
            chunk = [self._paths.popleft()]
            if chunk[0].suffix.lower() == _NPZ:
                self._begun.append((1, self._read(chunk)))
            else:
                while self._paths and len(chunk) < size and self._paths[0].suffix.lower() != _NPZ:
                    chunk.append(self._paths.popleft())
                future = self._processes.pool.submit(_all_of, self._read, chunk)
                self._begun.append((len(chunk), future))
            self._num_begun += len(chunk)


def _all_of(read: ReadFiles, paths: list[Path]) -> list[Input]:
    return list(read(paths))
