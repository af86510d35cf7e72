"""The store of features on disk: those of each frame, by the SHA-256 of its content.

A store belongs to one backbone with its weights. `digests.bin` holds a record for each frame,
`features.bin` its features at the same place. Both only grow, features first: a process that is
killed in between leaves a tail that the next one cuts off.
"""

import contextlib
import os
import shutil
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import filelock
import numpy as np

from seqvision.errors import UserError
from seqvision.runtime.atomic_write import write_atomically

_RECORD = np.dtype([("digest", "V32"), ("checksum", "<u4")])
_DIGESTS, _FEATURES, _LOCK, _USED = "digests.bin", "features.bin", ".lock", "used"
_WAIT_SECONDS = 2


class FeatureStore:
    """The features of frames in one folder.

    Attributes:
      folder: of this store alone.
      num_features: D, of a frame.
    """

    def __init__(self, folder: Path, num_features: int) -> None:
        self.folder, self.num_features = folder, num_features
        self._rows: dict[bytes, int] = {}
        self._features = np.zeros((0, num_features), np.float32)

    @contextlib.contextmanager
    def locked(self, say: Callable[[str], None]) -> Iterator[None]:
        """Holds the store for this process; waits for another one, which may compute the same.

        The lock dies with its process.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(self.folder / _LOCK)
        try:
            lock.acquire(timeout=_WAIT_SECONDS)
        except filelock.Timeout:
            say(f"waiting for another process that computes features in {self.folder}")
            lock.acquire()
        try:
            (self.folder / _USED).touch()
            self._open()
            yield
        finally:
            lock.release()

    def __contains__(self, digest: object) -> bool:
        return digest in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def append(self, digests: Sequence[bytes], features: np.ndarray) -> None:
        """Adds the features (n, D) of n frames; they are on disk when it returns."""
        features = np.ascontiguousarray(features, "<f4")
        records = np.array(
            [(d, zlib.crc32(f)) for d, f in zip(digests, features, strict=True)], _RECORD
        )
        for name, array in ((_FEATURES, features), (_DIGESTS, records)):
            with (self.folder / name).open("ab") as file:
                file.write(array.tobytes())
        start = len(self._features)
        self._rows |= {digest: start + number for number, digest in enumerate(digests)}
        self._features = self._mapped(start + len(digests))

    def gather(self, digests: Sequence[bytes]) -> np.ndarray:
        """The features (n, D) of these frames."""
        return self._features[[self._rows[digest] for digest in digests]]

    def rows(self, digests: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
        """All features, as a memory map, and which of them are those of these frames."""
        return self._features, np.array([self._rows[digest] for digest in digests], np.int64)

    def forget_damaged(self, digests: Collection[bytes]) -> int:
        """Forgets those of these frames whose features are not what was written; how many.

        All of them are in the store.
        """
        if not self._rows:
            return 0
        checksums = np.fromfile(self.folder / _DIGESTS, _RECORD)["checksum"].tolist()
        rows = {digest: self._rows[digest] for digest in digests}
        damaged = [
            digest
            for digest, row in rows.items()
            if zlib.crc32(self._features[row]) != checksums[row]
        ]
        for digest in damaged:
            del self._rows[digest]
        return len(damaged)

    def keep_only(self, digests: Collection[bytes]) -> None:
        """Deletes the features of all other frames."""
        kept = [digest for digest in digests if digest in self._rows]
        features = self.gather(kept)
        for name in (_DIGESTS, _FEATURES):
            (self.folder / name).unlink(missing_ok=True)
        self._open()
        if kept:
            self.append(kept, features)

    @property
    def frame_bytes(self) -> int:
        """On disk, of one frame."""
        return 4 * self.num_features + _RECORD.itemsize

    def _open(self) -> None:
        """Reads what is there, and cuts off what a killed process left behind."""
        sizes = {_DIGESTS: _RECORD.itemsize, _FEATURES: 4 * self.num_features}
        count = min(_size(self.folder / name) // size for name, size in sizes.items())
        for name, size in sizes.items():
            if _size(self.folder / name) > count * size:
                os.truncate(self.folder / name, count * size)
        path = self.folder / _DIGESTS
        records = np.fromfile(path, _RECORD, count) if count else np.zeros(0, _RECORD)
        self._rows = {bytes(digest): row for row, digest in enumerate(records["digest"])}
        self._features = self._mapped(count)

    def _mapped(self, count: int) -> np.ndarray:
        shape = count, self.num_features
        if not count:
            return np.zeros(shape, np.float32)
        return np.memmap(self.folder / _FEATURES, "<f4", "r", shape=shape)


def make_room(
    store: FeatureStore, num_new: int, needed: Callable[[], set[bytes]], limit: int
) -> None:
    """Deletes other features, where all stores together would grow beyond the limit.

    First go whole stores, those unused for longest first, then other frames of this store.

    Args:
      store: locked.
      num_new: frames that are to be added.
      needed: called for the digests of all frames that are to be there, these included.
      limit: bytes of all stores together.

    Raises:
      UserError: they alone need more.
    """
    stores = [path for path in store.folder.parent.iterdir() if path.is_dir()]
    sizes = {path: _folder_size(path) for path in stores}
    total = sum(sizes.values()) + num_new * store.frame_bytes
    if total <= limit:
        return
    for path in sorted(sizes, key=_last_used):
        if total > limit and path != store.folder and _remove(path):
            total -= sizes[path]
    if total <= limit:
        return
    digests = needed()
    if len(digests) * store.frame_bytes > limit:
        raise UserError(
            f"config.data.feature_cache_bytes: {limit:,} are too few for the features of this set,"
            f" {store.frame_bytes:,} bytes of each frame; raise it"
        )
    store.keep_only(digests)


def write_table(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Keeps arrays by name beside the features, whole or not at all."""
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]


def read_table(path: Path) -> dict[str, np.ndarray] | None:
    """What `write_table` wrote; None where there is none, or where it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except Exception:  # zipfile and numpy raise many kinds for what they cannot read.
        return None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _folder_size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _last_used(folder: Path) -> float:
    path = folder / _USED
    return path.stat().st_mtime if path.exists() else 0.0


def _remove(folder: Path) -> bool:
    """Deletes a store, unless another process uses it."""
    try:
        with filelock.FileLock(folder / _LOCK, blocking=False):
            shutil.rmtree(folder, ignore_errors=True)
    except (filelock.Timeout, OSError):
        return False
    return True
