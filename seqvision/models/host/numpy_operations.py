"""The operations of cells and running readouts in numpy."""

import numpy as np
import scipy  # Its parts are loaded when they are used.

from seqvision.models.host.product import product

_FEW = 512
"""Up to here scipy's one call is faster; from here on numpy's tanh, which is vectorised."""


class NumpyOperations:
    """`cells.operations.Operations` of numpy arrays, float32."""

    tanh = staticmethod(np.tanh)
    where = staticmethod(np.where)
    exp = staticmethod(np.exp)
    maximum = staticmethod(np.maximum)
    reciprocal = staticmethod(np.reciprocal)

    def sigmoid(self, array: np.ndarray) -> np.ndarray:
        if array.size <= _FEW:
            return scipy.special.expit(array)
        # As XLA computes it.
        sigmoid = np.tanh(array * 0.5)
        sigmoid *= 0.5
        sigmoid += 0.5
        return sigmoid

    def softplus(self, array: np.ndarray) -> np.ndarray:
        return np.logaddexp(array, np.float32(0))

    def rsqrt(self, array: np.ndarray) -> np.ndarray:
        return 1 / np.sqrt(array)

    def matmul(self, inputs: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        return product(inputs, kernel)

    def split(self, array: np.ndarray, num_parts: int) -> list[np.ndarray]:
        # `np.split` takes as long as the product of a step.
        size = array.shape[-1] // num_parts
        return [array[..., part * size : (part + 1) * size] for part in range(num_parts)]

    def mean(self, array: np.ndarray) -> np.ndarray:
        return array.mean(axis=-1, keepdims=True)

    def like(self, vector: np.ndarray, array: np.ndarray) -> np.ndarray:
        return vector
