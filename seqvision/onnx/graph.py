"""An ONNX graph that is built by calling its operators."""

from typing import Any, Union

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
"""The version of ONNX's operators; onnxruntime 1.13 and later run it."""

Operand = Union["Value", np.ndarray, float]

_TYPES = {
    "float32": TensorProto.FLOAT,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "uint8": TensorProto.UINT8,
    "bool": TensorProto.BOOL,
}


class Value:
    """An output of a node, or an input of the graph."""

    def __init__(self, graph: "Graph", name: str) -> None:
        self.graph, self.name = graph, name

    def __add__(self, other: Operand) -> "Value":
        return self.graph.op("Add", self, other)

    def __sub__(self, other: Operand) -> "Value":
        return self.graph.op("Sub", self, other)

    def __mul__(self, other: Operand) -> "Value":
        return self.graph.op("Mul", self, other)

    def __pow__(self, power: int) -> "Value":
        return self.graph.op("Pow", self, float(power))

    def __neg__(self) -> "Value":
        return self.graph.op("Neg", self)

    def __lt__(self, other: Operand) -> "Value":
        return self.graph.op("Less", self, other)

    def __radd__(self, other: float) -> "Value":
        return self.graph.op("Add", other, self)

    def __rsub__(self, other: float) -> "Value":
        return self.graph.op("Sub", other, self)

    def __rmul__(self, other: float) -> "Value":
        return self.graph.op("Mul", other, self)

    # numpy arrays would take `array + value` apart, entry by entry.
    __array_ufunc__ = None


class Graph:
    """Nodes in the order in which they were added, with the arrays that they need."""

    def __init__(self, name: str, parent: "Graph | None" = None) -> None:
        """Starts an empty graph.

        Args:
          name: shown by viewers.
          parent: the graph around this one, of a loop; constants are kept in it.
        """
        self._name, self._parent = name, parent
        self._nodes: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], Any] = {}
        self._count = 0

    def input(self, name: str, dtype: str, shape: tuple[int | str, ...]) -> Value:
        """An input; named axes have any length."""
        self._inputs.append(helper.make_tensor_value_info(name, _TYPES[dtype], shape))
        return Value(self, name)

    def output(self, name: str, dtype: str, shape: tuple[int | str, ...], value: Value) -> None:
        """Gives a value out."""
        self._nodes.append(helper.make_node("Identity", [value.name], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, _TYPES[dtype], shape))

    def op(self, kind: str, *operands: Operand | None, **attributes: Any) -> Value:
        """A node of one output. Operands that are left out are None."""
        return self.ops(kind, 1, *operands, **attributes)[0]

    def ops(
        self, kind: str, num_outputs: int, *operands: Operand | None, **attributes: Any
    ) -> list[Value]:
        """A node of several outputs."""
        names = ["" if operand is None else self._name_of(operand) for operand in operands]
        outputs = [self._fresh(kind.lower()) for _ in range(num_outputs)]
        self._nodes.append(helper.make_node(kind, names, outputs, **attributes))
        return [Value(self, output) for output in outputs]

    def cast(self, value: Operand, dtype: str) -> Value:
        return self.op("Cast", value, to=_TYPES[dtype])

    def transpose(self, value: Value, *axes: int) -> Value:
        return self.op("Transpose", value, perm=list(axes))

    def reshape(self, value: Value, *shape: int) -> Value:
        """0 keeps an axis, -1 is what is left."""
        return self.op("Reshape", value, np.array(shape, np.int64))

    def concat(self, *values: Operand, axis: int) -> Value:
        return self.op("Concat", *values, axis=axis)

    def slice(self, value: Value, begin: int, end: int, axis: int) -> Value:
        begins, ends, axes = (np.array([number], np.int64) for number in (begin, end, axis))
        return self.op("Slice", value, begins, ends, axes)

    def squeeze(self, value: Value, axis: int) -> Value:
        return self.op("Squeeze", value, np.array([axis], np.int64))

    def unsqueeze(self, value: Value, axis: int) -> Value:
        return self.op("Unsqueeze", value, np.array([axis], np.int64))

    def size(self, value: Value, axis: int) -> Value:
        """The length of an axis, (1,) int64."""
        return self.op("Shape", value, start=axis, end=axis + 1)

    def loop_body(self, name: str) -> "Graph":
        """An empty graph to run within this one, which may use this one's values."""
        return Graph(name, self)

    def proto(self) -> Any:
        """As ONNX keeps it."""
        constants = list(self._constants.values())
        return helper.make_graph(self._nodes, self._name, self._inputs, self._outputs, constants)

    def model(self) -> Any:
        """The whole as a model, checked."""
        model = helper.make_model(
            self.proto(), opset_imports=[helper.make_opsetid("", OPSET)], producer_name="seqvision"
        )
        model.ir_version = 8  # That of the operators' version.
        onnx.checker.check_model(model, full_check=True)
        return model

    def _name_of(self, operand: Operand) -> str:
        if isinstance(operand, Value):
            return operand.name
        if not isinstance(operand, np.ndarray):
            operand = np.array(operand, np.float32)
        return self._constant(np.ascontiguousarray(operand))

    def _constant(self, array: np.ndarray) -> str:
        if self._parent is not None:
            return self._parent._constant(array)
        key = (array.dtype.name, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = numpy_helper.from_array(array, self._fresh("constant"))
        return str(self._constants[key].name)

    def _fresh(self, kind: str) -> str:
        if self._parent is not None:  # Names are unique in the whole.
            return self._parent._fresh(kind)
        self._count += 1
        return f"{kind}_{self._count}"
