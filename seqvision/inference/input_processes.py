"""Files of the user's that are read and decoded by several processes, in order."""

import collections
import contextlib
import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path

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


class FileProcesses:
    """Processes that read files, each at the end of a pipe of its own.

    `concurrent.futures` has one pipe for the answers of all; a process that is ended while it
    writes to it would be waited for without end.
    """

    def __init__(self, number: int) -> None:
        """Starts them.

        Raises:
          OSError: the system starts no more.
        """
        self.number = number
        # What is forked may hold locks of jax's threads.
        context = multiprocessing.get_context("spawn")
        self._idle: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        self._processes = []
        self._threads = ThreadPoolExecutor(number)
        try:
            with _ctrl_c_is_for_this_process():
                for _ in range(number):
                    ours, theirs = context.Pipe()
                    process = context.Process(target=_serve, args=(theirs,), daemon=True)
                    process.start()
                    theirs.close()
                    self._processes.append(process)
                    self._idle.put(ours)
        except BaseException:
            self.close()
            raise

    def submit(self, read: ReadFiles, paths: list[Path]) -> Future[list[Input]]:
        """Reads files in the next process that is free; see `read_in_processes`."""
        return self._threads.submit(self._ask, read, paths)

    def close(self) -> None:
        """Ends them, whatever they are doing."""
        for process in self._processes:
            process.kill()
        self._threads.shutdown(cancel_futures=True)

    def _ask(self, read: ReadFiles, paths: list[Path]) -> list[Input]:
        connection = self._idle.get()
        try:
            connection.send((read, paths))
            answer = connection.recv()
        except (EOFError, OSError):
            raise UserError(
                "a process that reads files has ended, perhaps for want of memory; make some free,"
                " or name fewer files with --inputs"
            ) from None
        finally:
            self._idle.put(connection)
        if isinstance(answer, BaseException):
            raise answer
        return answer


@contextlib.contextmanager
def file_processes(num_files: int) -> Iterator[FileProcesses | None]:
    """Processes that read files: at most one a core, each for 32 files or more.

    None where that is fewer than two, or where the system starts none. To be started early: they
    import while this process does other things. They end with the block, whatever they are doing,
    and with this process, whatever ends it.

    They import the main module, so only a command may call this: a script without
    `if __name__ == "__main__":` would be run once more by each.
    """
    number = min(usable_cores(), _MOST_PROCESSES, num_files // _FILES_EACH)
    processes = None
    if number > 1:
        with contextlib.suppress(OSError):
            processes = FileProcesses(number)
    try:
        yield processes
    finally:
        if processes is not None:
            processes.close()


@contextlib.contextmanager
def _ctrl_c_is_for_this_process() -> Iterator[None]:
    """Blocks SIGINT in processes that are started now: a terminal sends it to all."""
    resource_tracker.ensure_running()  # When it starts, it unblocks this signal.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection) -> None:
    """In a started process: reads files until the other one ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(EOFError, OSError):  # The other one has ended.
        while True:
            read, paths = connection.recv()
            connection.send(_answer(read, paths))


def _answer(read: ReadFiles, paths: list[Path]) -> list[Input] | Exception:
    try:
        return list(read(paths))
    except Exception as error:
        return error


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


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
      UserError: see `read`; or one of the processes has ended.
    """
    if processes is None:
        for path in paths:
            yield from read([path])
            advance(1)
        return
    yield from _Reading(read, paths, processes).inputs(advance)


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
                self._begun.append((len(chunk), self._processes.submit(self._read, chunk)))
            self._num_begun += len(chunk)
