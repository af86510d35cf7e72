"""The features of all clips of a data set, computed once by a frozen backbone."""

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from seqvision.data.dataset import ArraySplit, Dataset, Split, StreamedSplit
from seqvision.data.features.extraction import Extractor, Progress
from seqvision.data.features.feature_split import FeatureSplit, create_split, lengths_of
from seqvision.data.features.store import FeatureStore, make_room, read_table, write_table
from seqvision.errors import UserError, explain_os_error
from seqvision.models.backbones import BACKBONES
from seqvision.models.backbones.weights import digest_of

# To be raised when the same frames come to have other features.
_VERSION = 1
# Frames that are read at once.
_CHUNK_BYTES = 2**24

Tables = dict[str, dict[str, np.ndarray]]
"""Of each split: `digests` (frames,) of 32 bytes, `lengths` (N,) and the clips' other arrays."""


@dataclasses.dataclass(frozen=True)
class FeatureCache:
    """Where features are kept, and how.

    Attributes:
      folder: of all stores.
      limit: most bytes of all stores together.
      resident_bytes: more features than this stay on disk, and are read from there.
      say: called with lines.
      show_progress: draw a progress bar.
    """

    folder: Path
    limit: int
    resident_bytes: float
    say: Callable[[str], None]
    show_progress: bool = False

    def progress(self, total: int) -> Progress:
        """Of so many frames; 0 where their number is not known."""
        return Progress(total, self.say, self.show_progress)

    def store(self, extractor: Extractor, digest: str) -> FeatureStore:
        """That of a backbone with its weights, which have this digest."""
        key = repr((_VERSION, digest, extractor.compute_dtype))
        name = f"{extractor.name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
        return FeatureStore(self.folder / name, extractor.num_features)


def with_features(dataset: Dataset, extractor: Extractor, cache: FeatureCache) -> Dataset:
    """The data set with the features of its clips in the place of their frames.

    The features of a frame are computed when no store has them, whatever run or set it came from.

    Raises:
      UserError: the features do not fit the cache, or it cannot be written.
    """
    digest = digest_of(extractor.params)
    store = cache.store(extractor, digest)
    try:
        with store.locked(cache.say):
            tables = _computed(dataset, extractor, store, cache)
            splits = _splits(dataset, store, tables, cache)
    except OSError as error:
        raise UserError(explain_os_error(error, store.folder, "config.data.cache_dir")) from error
    num_frames = dataset.input_shape[0]
    return dataclasses.replace(
        dataset,
        splits=splits,
        input_shape=(num_frames, 1, 1, extractor.num_features),
        frames_shape=dataset.input_shape,
        backbone=extractor.params,
        fingerprints={**dataset.fingerprints, "backbone": digest},
    )


def _computed(
    dataset: Dataset, extractor: Extractor, store: FeatureStore, cache: FeatureCache
) -> Tables:
    """The tables of all splits, every frame of which is in the store."""
    paths = {name: store.folder / "sets" / f"{_key(dataset, name)}.npz" for name in dataset.splits}
    found = {name: read_table(path) for name, path in paths.items()}
    tables = {
        name: table
        for name, table in found.items()
        if table is not None and all(one in store for one in _digests(table))
    }
    missing = [name for name in dataset.splits if name not in tables]
    if missing:
        total = sum(_num_frames(dataset, name) for name in missing)
        with contextlib.closing(cache.progress(total)) as progress:
            for name in missing:
                split = dataset.splits[name]
                before = {one for table in tables.values() for one in _digests(table)}
                tables[name] = _extracted(_chunks(split), extractor, store, cache, progress, before)
                write_table(paths[name], tables[name])
    used = {one for table in tables.values() for one in _digests(table)}
    if damaged := store.forget_damaged(used):
        cache.say(f"features of {damaged} frames were damaged in {store.folder}: computed again")
        return _computed(dataset, extractor, store, cache)
    return {name: tables[name] for name in dataset.splits}


def _extracted(
    batches: Iterator[dict[str, np.ndarray]],
    extractor: Extractor,
    store: FeatureStore,
    cache: FeatureCache,
    progress: Progress,
    before: set[bytes],
) -> dict[str, np.ndarray]:
    """Computes what the store lacks of some clips, and keeps it batch by batch; their table.

    `before` are the digests of other frames that must stay in the store.
    """
    digests: list[bytes] = []
    read: list[dict[str, np.ndarray]] = []
    waiting: dict[bytes, np.ndarray] = {}
    pending: set[bytes] = set()
    running: list[tuple[list[bytes], Callable[[], np.ndarray]]] = []

    def finish() -> None:
        for keys, result in running:
            make_room(store, len(keys), lambda: {*before, *digests}, cache.limit)
            store.append(keys, result())
        running.clear()
        pending.clear()

    def compute(keys: list[bytes]) -> None:
        batch = np.stack([waiting.pop(key) for key in keys])
        result = extractor.start(batch)
        finish()  # Of the batch before, while this one is computed.
        running.append((keys, result))
        pending.update(keys)

    for batch in batches:
        lengths = lengths_of(batch)
        new = 0
        for clip, length in zip(batch["inputs"], lengths, strict=True):
            for frame in clip[:length]:
                digest = _digest(frame)
                digests.append(digest)
                if not (digest in store or digest in waiting or digest in pending):
                    waiting[digest] = frame
                    new += 1
                if len(waiting) == extractor.batch_size:
                    compute(list(waiting))
        read.append({**batch, "lengths": lengths})
        del read[-1]["inputs"]
        progress.advance(int(lengths.sum()), new)
    if waiting:
        compute(list(waiting))
    finish()
    if not read:
        return {}
    others = {name: np.concatenate([one[name] for one in read]) for name in read[0]}
    return {"digests": np.frombuffer(b"".join(digests), "V32"), **others}


def abstract_features(dataset: Dataset, name: str) -> Dataset:
    """The data set with features of the shapes that they will have, all of them 0.

    Args:
      dataset: clips.
      name: of the backbone.
    """
    shape = dataset.input_shape[0], 1, 1, BACKBONES[name].num_features
    splits: dict[str, Split] = {}
    for key, split in dataset.splits.items():
        example = split.read(np.zeros(1, np.int32))
        example["lengths"] = lengths_of(example)
        arrays = {
            part: np.broadcast_to(array, (len(split), *array.shape[1:]))
            for part, array in (example | {"inputs": np.zeros((1, *shape), np.float32)}).items()
        }
        splits[key] = FeatureSplit(arrays, split.names, split.groups)
    return dataclasses.replace(
        dataset, splits=splits, input_shape=shape, frames_shape=dataset.input_shape
    )


def _chunks(split: Split) -> Iterator[dict[str, np.ndarray]]:
    """All clips of a split in order, a few at a time; the next are read meanwhile."""
    first = split.read(np.zeros(1, np.int32))["inputs"]
    size = max(1, _CHUNK_BYTES // max(first.nbytes, 1))
    numbers = np.arange(len(split), dtype=np.int32)
    parts = [numbers[start : start + size] for start in range(0, len(numbers), size)]
    with ThreadPoolExecutor(1) as pool:
        ahead = pool.submit(split.read, parts[0])
        for part in parts[1:]:
            batch = ahead.result()
            ahead = pool.submit(split.read, part)
            yield batch
        yield ahead.result()


def features_of_clips(
    clips: Iterator[np.ndarray], extractor: Extractor, cache: FeatureCache
) -> list[np.ndarray]:
    """The features (L, D) of each of some clips (L, height, width, channels), uint8.

    Raises:
      UserError: see `with_features`.
    """

    def batches() -> Iterator[dict[str, np.ndarray]]:
        for clip in clips:
            yield {"inputs": clip[None]}

    store = cache.store(extractor, digest_of(extractor.params))
    try:
        with store.locked(cache.say), contextlib.closing(cache.progress(0)) as progress:
            table = _extracted(batches(), extractor, store, cache, progress, set())
            if not table:
                return []
            features = store.gather(_digests(table))
    except OSError as error:
        raise UserError(explain_os_error(error, store.folder, "config.data.cache_dir")) from error
    return np.split(features, np.cumsum(table["lengths"])[:-1])


def _splits(
    dataset: Dataset, store: FeatureStore, tables: Tables, cache: FeatureCache
) -> dict[str, Split]:
    clips = sum(len(table["lengths"]) for table in tables.values())
    num_frames = dataset.input_shape[0]
    in_memory = clips * num_frames * 4 * store.num_features <= cache.resident_bytes
    splits: dict[str, Split] = {}
    for name, split in dataset.splits.items():
        features, rows = store.rows(_digests(tables[name]))
        others = {key: array for key, array in tables[name].items() if key != "digests"}
        splits[name] = create_split(features, rows, num_frames, others, split, in_memory)
    return splits


def _key(dataset: Dataset, name: str) -> str:
    """Of a split: another one when its clips, their order, their scale or their targets change."""
    split = dataset.splits[name]
    sizes = {key: len(value) for key, value in dataset.splits.items()}
    numbers = split.numbers if isinstance(split, StreamedSplit) else None
    facts = (
        sorted(dataset.fingerprints.items()),
        name,
        sizes,
        numbers,
        dataset.input_shape,
        # Fingerprints of streamed sets are of the files, before they are scaled and read.
        dataset.tones,
        dataset.targets,
        dataset.class_names,
    )
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


def _digest(frame: np.ndarray) -> bytes:
    digest = hashlib.sha256(repr((frame.shape, frame.dtype.str)).encode())
    digest.update(np.ascontiguousarray(frame).data)
    return digest.digest()


def _digests(table: dict[str, np.ndarray]) -> list[bytes]:
    return [bytes(one) for one in table["digests"]]


def _num_frames(dataset: Dataset, name: str) -> int:
    """Of the clips of a split, as far as that is known before they are read."""
    split = dataset.splits[name]
    if isinstance(split, ArraySplit) and split.lengths is not None:
        return int(split.lengths.sum())
    return len(split) * dataset.input_shape[0]
