"""Source of weights: arrays that another program stored, and which program that was."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqvision.weights import torch_file
from seqvision.weights.flax_file import FlaxFile
from seqvision.weights.keras_file import CONFIG, WEIGHTS, KerasFile
from seqvision.weights.own_run import is_own_run
from seqvision.weights.refusals import reading, refused
from seqvision.weights.safetensors_file import SafetensorsFile, framework
from seqvision.weights.stored_arrays import StoredArrays, count
from seqvision.weights.tensorflow.bundle import Bundle
from seqvision.weights.tensorflow.model_directory import find_prefix, is_part
from seqvision.weights.torch_file import TorchFile
from seqvision.weights.torch_old_file import OldTorchFile
from seqvision.weights.zip_entries import StoredZip

_KINDS = (
    "give a TensorFlow checkpoint or model directory, a Keras file (.keras, .h5), a PyTorch"
    " state_dict (.pt, .pth, .safetensors), a Flax tree (.msgpack, .safetensors) or a workdir"
)


# Twice for bfloat16, as often as weights are shared.
_MOST_TIMES, _LITTLE = 16, 2**16


@dataclasses.dataclass(frozen=True)
class Source:
    """Arrays by their own names, and what else a file says.

    Attributes:
      kind: tensorflow, keras, torch, flax or seqvision.
      arrays: values in numpy, in the order of the file. Each is read, and its checksum checked
        where the file has one, when it is asked for; `arrays.shape(name)` reads nothing. bfloat16
        comes as float32. Of a workdir of seqvision it is empty.
      facts: `config` (keras: the parsed config of the model), `layers` (keras 3: names of layers by
        the path of their variables), `metadata` (of safetensors), `inside` (torch: the keys that
        lead to the state_dict in what was saved).
      skipped: what has a name and is no array of numbers: its type, such as `text`.
    """

    kind: str
    arrays: StoredArrays
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    skipped: Mapping[str, str] = dataclasses.field(default_factory=dict)


def open_source(path: Path, kinds: str = _KINDS) -> Source:
    """Tells by the content, then by the name, who stored the weights, and reads their names.

    Args:
      path: a file, a model directory of an Estimator, the prefix of a checkpoint, or a workdir.
      kinds: what to do where it is none of these, for the error.

    Raises:
      UserError: it is damaged, missing or of a kind that is not read.
    """
    with reading(path):
        if path.is_dir():
            return _folder(path, kinds)
        if is_part(path) or not path.exists():
            return _checkpoint(path)
        if not path.is_file():
            raise refused(path, "neither a file nor a folder", kinds)
        return _bounded(_file(path, kinds), path.stat().st_size)


def _folder(path: Path, kinds: str) -> Source:
    if is_own_run(path):
        return Source("seqvision", StoredArrays({}))
    try:
        return _checkpoint(path)
    except FileNotFoundError:
        raise refused(path, "a folder without a checkpoint", kinds) from None


def _checkpoint(path: Path) -> Source:
    prefix = find_prefix(path)
    if prefix is None:
        raise FileNotFoundError(2, "no such file or folder")
    bundle = Bundle(prefix)
    source = Source("tensorflow", bundle.arrays, skipped=bundle.skipped)
    return _bounded(source, bundle.size)


def _bounded(source: Source, size: int) -> Source:
    """The source, whose arrays do not take many times the memory of what is stored.

    Raises:
      ValueError: they lie over each other in the file.
    """
    arrays = source.arrays
    total = sum(count(arrays.shape(name)) * arrays.dtype(name).itemsize for name in arrays)
    if total > _MOST_TIMES * size + _LITTLE:
        raise ValueError(f"arrays of {total} bytes in all in {size} bytes")
    return source


def _file(path: Path, kinds: str) -> Source:
    with path.open("rb") as file:
        head = file.read(16)
    if head[:4] == b"PK\3\4":
        return _zip(path, kinds)
    if head[:8] == b"\x89HDF\r\n\x1a\n":
        return _keras(path, is_zip=False)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= path.stat().st_size:
        stored = SafetensorsFile(path)
        kind = framework(stored.arrays, stored.metadata)
        return Source(kind, stored.arrays, {"metadata": stored.metadata}, stored.skipped)
    if head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5"):
        old = OldTorchFile(path)
        facts = {"inside": old.inside} if old.inside else {}
        return Source("torch", old.arrays, facts, old.skipped)
    if find_prefix(path) is not None:
        return _checkpoint(path)
    # Maps of msgpack: short ones, and those of 16 and 32 bits.
    if head and (0x81 <= head[0] <= 0x8F or head[0] in (0xDE, 0xDF)):
        tree = FlaxFile(path)
        return Source("flax", tree.arrays, skipped=tree.skipped)
    found = "of no known kind" if head else "empty"
    if head.lstrip()[:1] == b"<":
        found = "a page of the web (HTML), perhaps of a download that failed"
    raise refused(path, found, kinds)


def _zip(path: Path, kinds: str) -> Source:
    names = StoredZip(path).names
    if {CONFIG, WEIGHTS} <= set(names):
        return _keras(path, is_zip=True)
    if any(name.split("/")[1:] == [torch_file.PICKLE] for name in names):
        stored = TorchFile(path)
        facts = {"inside": stored.inside} if stored.inside else {}
        return Source("torch", stored.arrays, facts, stored.skipped)
    raise refused(path, "a zip file, but neither Keras nor PyTorch saved it", kinds)


def _keras(path: Path, is_zip: bool) -> Source:
    stored = KerasFile(path, is_zip)
    found = {"config": stored.config, "layers": stored.layers}
    facts = {name: value for name, value in found.items() if value}
    return Source("keras", stored.arrays, facts, stored.skipped)
