"""Operations of a compiled program: the group of each and its place in the source.

Parsed from the HLO text of a compiled function, `jax.stages.Compiled.as_text`.
"""

import dataclasses
import re
from collections.abc import Iterable

PRODUCTS = "matrix products"
ELEMENTWISE = "element-wise, reductions"
MOVEMENT = "data movement"
COLLECTIVES = "between devices, waiting"
LOOPS = "loops, between their parts"
OTHER = "other"

_PRODUCTS = {"dot", "convolution"}
_LIBRARY_PRODUCTS = re.compile("gemm|matmul|conv|cudnn|dot|lstm", re.IGNORECASE)
_LOOPS = {"while", "conditional", "call"}
_COLLECTIVES = {
    "all-gather",
    "all-reduce",
    "all-to-all",
    "collective-broadcast",
    "collective-permute",
    "reduce-scatter",
}
_OTHER = {"custom-call", "rng-bit-generator", "sort", "infeed", "outfeed", "send", "recv"}
_MOVEMENT = {
    "bitcast",
    "bitcast-convert",
    "broadcast",
    "concatenate",
    "copy",
    "dynamic-slice",
    "dynamic-update-slice",
    "gather",
    "pad",
    "reshape",
    "reverse",
    "scatter",
    "slice",
    "transpose",
}
# They cost nothing, so they do not decide the group of a fusion that holds them.
_FREE = {"constant", "get-tuple-element", "iota", "parameter", "tuple"}

_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) .*\{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = .*?\s([a-z][a-z\-]*)\((.*)$")
_CALLED = re.compile(r"(?:calls|to_apply)=%?([\w.\-]+)")
_TARGET = re.compile(r'custom_call_target="([^"]*)"')
_OP_NAME = re.compile(r'op_name="([^"]*)"')
_HIDDEN = {"while", "body", "cond", "closed_call", ""}


@dataclasses.dataclass(frozen=True)
class Operation:
    """One operation of a compiled program.

    Attributes:
      group: one of the constants above, such as `PRODUCTS`.
      scope: the modules and functions it comes from, outermost first; empty where unknown.
    """

    group: str
    scope: str = ""


def read_operations(text: str) -> dict[str, Operation]:
    """Parses the operations of a program; the keys are names such as `dot.17`."""
    instructions: dict[str, tuple[str, str]] = {}
    members: dict[str, list[str]] = {}
    computation = ""
    for line in text.splitlines():
        if found := _COMPUTATION.match(line):
            computation = found[1]
        elif found := _INSTRUCTION.match(line):
            name, opcode, rest = found.groups()
            instructions[name] = opcode, rest
            members.setdefault(computation, []).append(name)

    def opcodes(name: str) -> set[str]:
        """The opcode of an operation, or those of what it fuses."""
        opcode, rest = instructions[name]
        if opcode == "custom-call":
            target = _TARGET.search(rest)
            return {"dot" if target and _LIBRARY_PRODUCTS.search(target[1]) else opcode}
        called = _CALLED.search(rest)
        if opcode != "fusion" or not called:
            return {opcode}
        return {code for member in members.get(called[1], []) for code in opcodes(member)}

    operations = {}
    for name, (_, rest) in instructions.items():
        source = _OP_NAME.search(rest)
        operations[name] = Operation(_group(opcodes(name)), _scope(source[1] if source else ""))
    return operations


def operation_by_name(name: str) -> Operation:
    """Guesses the group of an operation from its name, for one that the HLO text does not list."""
    stem = name.split(".")[0]
    return Operation(_group({stem}) if "_" not in stem else ELEMENTWISE)


def _group(opcodes: Iterable[str]) -> str:
    codes = {code.removesuffix("-start").removesuffix("-done") for code in opcodes} - _FREE
    if codes & _PRODUCTS:
        return PRODUCTS
    if codes & _COLLECTIVES:
        return COLLECTIVES
    if codes & _LOOPS:
        return LOOPS
    if codes <= _MOVEMENT:
        return MOVEMENT
    return OTHER if codes & _OTHER else ELEMENTWISE


def _scope(op_name: str) -> str:
    """`backward Classifier/recurrent/dot_general` of jax's longer name."""
    # jax writes the gradient as transpose(jvp(Classifier)); jit(f) adds nothing.
    name = re.sub(r"transpose\(jvp\(([^()]*)\)\)", r"backward \1", op_name)
    name = re.sub(r"jvp\(([^()]*)\)", r"forward \1", name)
    parts = [part for part in name.split("/") if part not in _HIDDEN]
    return "/".join(part for part in parts if not part.startswith("jit("))
