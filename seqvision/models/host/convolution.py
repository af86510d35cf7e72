"""The products of a 3x3 convolution, in numpy."""

import numpy as np

from seqvision.models.host.product import product


def products_3x3(padded: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Each pixel's 3x3 neighbourhood times a kernel, as `models.cnn.as_product`.

    Args:
      padded: float32 (N, height + 2, width + 2, C), contiguous.
      kernel: (9 C, channels).

    Returns:
      (N, height, width, channels).
    """
    count, height, width, channels = padded.shape
    image, row, column, item = padded.strides
    # A view, in which the three columns of a neighbourhood lie behind each other with their
    # channels.
    neighbours = np.ndarray(
        (count, height - 2, width - 2, 3, 3 * channels),
        np.float32,
        padded,
        strides=(image, row, column, row, item),
    )
    products = product(neighbours.reshape(-1, 9 * channels), kernel)
    return products.reshape(count, height - 2, width - 2, -1)
