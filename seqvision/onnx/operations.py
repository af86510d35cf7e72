"""The operations of cells and running readouts as nodes of an ONNX graph."""

from typing import Any

from seqvision.onnx.graph import Graph, Operand, Value


class OnnxOperations:
    """`models.cells.operations.Operations` of values in a graph."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def sigmoid(self, value: Value) -> Value:
        return self._graph.op("Sigmoid", value)

    def tanh(self, value: Value) -> Value:
        return self._graph.op("Tanh", value)

    def softplus(self, value: Value) -> Value:
        return self._graph.op("Softplus", value)

    def rsqrt(self, value: Value) -> Value:
        return self.reciprocal(self._graph.op("Sqrt", value))

    def reciprocal(self, value: Value) -> Value:
        return self._graph.op("Reciprocal", value)

    def exp(self, value: Value) -> Value:
        return self._graph.op("Exp", value)

    def maximum(self, first: Value, second: Value) -> Value:
        return self._graph.op("Max", first, second)

    def where(self, condition: Value, first: Operand, second: Operand) -> Value:
        return self._graph.op("Where", condition, first, second)

    def matmul(self, inputs: Value, kernel: Any) -> Value:
        return self._graph.op("MatMul", inputs, kernel)

    def split(self, value: Value, num_parts: int) -> list[Value]:
        return self._graph.ops("Split", num_parts, value, axis=-1)

    def mean(self, value: Value) -> Value:
        return self._graph.op("ReduceMean", value, axes=[-1], keepdims=1)

    def like(self, vector: Any, value: Value) -> Any:
        return vector
