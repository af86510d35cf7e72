"""Name map: our names for arrays that the readers do not recognise (`--map=THEIRS:OURS`).

An array is renamed to what the reader of its format knows. The reader does the rest: gates in our
order, kernels cut or transposed.
"""

import contextlib
import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from seqvision.errors import UserError, did_you_mean
from seqvision.weights.layers import Part
from seqvision.weights.refusals import shown
from seqvision.weights.source import Source
from seqvision.weights.tensorflow_layers import CUDNN_GRU, GRU, is_slot

Pair = tuple[str, str]
"""A name in the file and one of ours, each of an array or of a layer."""

_OURS = re.compile(
    r"(?P<layer>classifier|sequence/cnn/block_(?P<block>\d{1,4})/conv"
    r"|recurrent/layer_(?P<number>\d{1,4})(?P<side>_forward|_backward|)/cell)(?:/(?P<array>.+))?"
)
_LIBRARIES = {
    "tensorflow": "TensorFlow", "keras": "Keras", "torch": "PyTorch", "flax": "Flax",
    "seqvision": "seqvision",
}  # fmt: skip


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


# What the arrays of a layer may be called, and what the reader calls them.
_DENSE = {kind: _same("kernel", "bias") for kind in _LIBRARIES}
_DENSE["keras"] |= {"vars/0": "kernel", "vars/1": "bias"}
_DENSE["torch"] = _same("weight", "bias") | {"kernel": "weight"}
_TORCH_CELL = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
_KERAS_CELL = ("kernel", "recurrent_kernel", "bias")
_OUR_KERNELS = ("input_kernel", "recurrent_kernel")
_CELL = {
    "tensorflow": _same("kernel", "bias", *GRU, *CUDNN_GRU),
    "keras": _same(*_KERAS_CELL) | {f"vars/{at}": name for at, name in enumerate(_KERAS_CELL)},
    "torch": _same(*_TORCH_CELL) | {f"{name}_l0": name for name in _TORCH_CELL},
    "flax": _same(*(f"{s}{g}/{a}" for s in "ih" for g in "ifgorzn" for a in ("kernel", "bias"))),
    "seqvision": _same(*_OUR_KERNELS, "bias", "candidate_bias"),
}
_CELL["tensorflow"] |= dict.fromkeys(_OUR_KERNELS, "kernel")
_CELL["keras"] |= {"input_kernel": "kernel"}
_CELL["torch"] |= dict(zip(_OUR_KERNELS, _TORCH_CELL, strict=False))


def parse(texts: Iterable[str]) -> list[Pair]:
    """The pairs of `--map`, given several times or with commas.

    Raises:
      UserError: one of them is no pair.
    """
    pairs = []
    for text in (part.strip() for value in texts for part in value.split(",")):
        theirs, colon, ours = text.rpartition(":")  # Names of Keras may end in `:0`.
        if not (theirs and colon and ours):
            raise UserError(
                f"--map: '{text}' is no pair of names; write --map=THEIRS:OURS, such as"
                " --map=logits/kernel:classifier/kernel"
            )
        pairs.append((theirs, ours))
    return pairs


@dataclasses.dataclass(frozen=True)
class NameMap:
    """What was renamed.

    Attributes:
      theirs: names in the file, by those that the reader gets.
      layers: our layers, by the same names; without the slots of optimizers.
    """

    theirs: Mapping[str, str] = dataclasses.field(default_factory=dict)
    layers: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @contextlib.contextmanager
    def in_errors(self) -> Iterator[None]:
        """Errors name arrays as the file does."""
        try:
            yield
        except UserError as error:
            # Our own files have our names, and there it is not clear which is meant.
            known = [k for k in self.theirs if not k.startswith(f"{self.layers.get(k)}/")]
            raise UserError(self._in_file(str(error), known)) from error

    def in_table(self, line: str) -> str:
        """A line of `fitting.table`, with the names that the file has."""
        ours, separator, origin = line.partition("  from ")
        return ours + separator + self._in_file(origin, self.theirs)

    def _in_file(self, text: str, known: Iterable[str]) -> str:
        names = "|".join(map(re.escape, sorted(known, key=len, reverse=True)))
        if not names:
            return text
        return re.sub(rf"(?<![\w./])({names})(?![\w./])", lambda m: self.theirs[m[1]], text)

    def check(self, parts: Mapping[str, Part]) -> None:
        """Raises UserError where an array became a part of another layer than was said."""
        for name, part in parts.items():
            for source in part.sources:
                layer = self.layers.get(source)
                if layer is not None and not name.startswith(f"{layer}/"):
                    raise UserError(
                        f"--map: {self.theirs[source]} is read as {name}, not as of {layer}; name"
                        " the other layers of its kind too"
                    )


def renamed(source: Source, pairs: Sequence[Pair]) -> tuple[Source, NameMap]:
    """The source with the names that its reader knows.

    Args:
      source: of any kind.
      pairs: see `parse`. The name of a layer stands for all arrays in it.

    Raises:
      UserError: a name on either side is not known, or stands for several things.
    """
    theirs: dict[str, str] = {}
    layers: dict[str, str] = {}
    for pair in pairs:
        for name, known, layer in _found(source, *pair):
            if theirs.setdefault(known, name) != name:
                raise UserError(
                    f"--map: {theirs[known]} and {name} are both named as the same array of {layer}"
                )
            if not (source.kind == "tensorflow" and is_slot(source.arrays, name)):
                layers[known] = layer
    counts = Counter(theirs.values())
    for name, count in counts.items():
        if count > 1:
            raise UserError(f"--map: {name} is named twice, as different arrays; leave one out")
    names = {name: name for name in source.arrays if name not in counts}
    for name in theirs.keys() & names.keys():
        raise UserError(
            f"--map: {theirs[name]}: the file has {name} too, which is taken for the same;"
            " name that one too, or leave this one out"
        )
    # Readers take some layers in the order of the file.
    in_order = sorted(theirs, key=lambda known: [int(n) for n in re.findall(r"\d+", known)])
    names |= {known: theirs[known] for known in in_order}
    arrays = source.arrays.under(names)
    return dataclasses.replace(source, arrays=arrays), NameMap(theirs, layers)


def _found(source: Source, theirs: str, ours: str) -> Iterator[tuple[str, str, str]]:
    """Arrays that a pair stands for: name in the file, name for the reader, layer of ours."""
    match = _OURS.fullmatch(ours)
    if match is None:
        raise UserError(
            f"--map: '{ours}' is no layer of ours and no array of one; layers are classifier,"
            f" sequence/cnn/block_0/conv and recurrent/layer_0/cell{_nearest(source.kind, ours)}"
        )
    separator = "." if source.kind == "torch" else "/"
    is_found = False
    for name in source.arrays:
        slotless, slot = name, ""
        if source.kind == "tensorflow" and is_slot(source.arrays, name):
            slotless, _, slot = name.rpartition("/")
        if slotless == theirs:
            array = match["array"] or ""
        elif slotless.startswith(theirs + separator):
            array = slotless[len(theirs) + 1 :]
            if match["array"]:
                raise UserError(
                    f"--map: {theirs} is no array but has {slotless} in it; name that, or"
                    f" {match['layer']} for all in it"
                )
        else:
            continue
        is_found = True
        known = _known(source.kind, match, _called(source.kind, match, name, array))
        yield name, f"{known}/{slot}" if slot else known, match["layer"]
    if not is_found:
        parents = (name.rpartition(separator)[0] for name in source.arrays)
        near = did_you_mean(theirs, dict.fromkeys([*source.arrays, *filter(None, parents)]))
        raise UserError(f"--map: the file has no array or layer '{shown(theirs)}'{near}")


def _called(kind: str, match: re.Match[str], name: str, array: str) -> str:
    """What the reader calls an array of a layer.

    Raises:
      UserError: layers of that library have no such array.
    """
    held = (_CELL if match["number"] else _DENSE)[kind]
    last = array
    if kind == "keras" and (end := re.search(r"(vars/\d+|[^/]+)$", array)):
        last = end[1].removesuffix(":0")
    if last not in held:
        ours, names = match["layer"], ", ".join(dict.fromkeys(held.values()))
        found = f"'{shown(array)}' is no array of a layer of {_LIBRARIES[kind]}"
        raise UserError(
            f"--map: {shown(name)}: {found if array else f'it is an array, and {ours} a layer'};"
            f" write {ours}/NAME, with NAME one of {names}"
        )
    return held[last]


def _known(kind: str, match: re.Match[str], array: str) -> str:
    """The name under which a reader knows an array of a layer of ours."""
    block, number, side = match["block"], match["number"], match["side"]
    is_back = side == "_backward"
    if kind == "seqvision":
        return f"{match['layer']}/{array}"
    if number is None:
        separator = "." if kind == "torch" else "/"
        # None of them is a name of ours: a message may have both.
        conv = "conv2d" if kind == "tensorflow" else "conv"
        return f"{'dense' if block is None else f'{conv}_{block}'}{separator}{array}"
    if kind == "torch":
        return f"rnn.{array}_l{number}{'_reverse' if is_back else ''}"
    if kind == "tensorflow":
        cell = "lstm_cell" if array in ("kernel", "bias") else "gru_cell"
        return f"cell_{number}/{'bw' if is_back else 'fw'}/{cell}/{array}"
    if kind == "keras":
        return f"recurrent_{number}{side and f'/{side[1:]}_layer'}/{array}"
    return f"layer_{number}{side}/{array}"


def _nearest(kind: str, ours: str) -> str:
    """The nearest name of ours, with the numbers that were given."""
    at = (re.findall(r"\d{1,4}", ours) or ["0"])[0]
    plain = dict.fromkeys(("classifier", f"sequence/cnn/block_{at}/conv"), _DENSE)
    cells = {f"recurrent/layer_{at}{s}/cell": _CELL for s in ("", "_forward", "_backward")}
    layers = plain | cells
    arrays = [f"{layer}/{name}" for layer, held in layers.items() for name in held[kind]]
    return did_you_mean(ours, [*layers, *arrays])
