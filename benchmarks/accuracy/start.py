"""Initial weights of the LSTM of the recipe `ours`, as in seqvision.models.cells.initializers.

The input kernel and the classifier start as each library has them.
"""

import numpy as np

GATE_INITS = ("constant", "chrono")
_NUM_STEPS = 28  # Rows of an image.


def recurrent_kernels(hidden_size: int, seed: int) -> np.ndarray:
    """An orthogonal matrix for each gate, (4, H, H) float32 (Saxe et al., 2014)."""
    normal = np.random.default_rng([seed, 0]).normal(size=(4, hidden_size, hidden_size))
    orthogonal, upper = np.linalg.qr(normal)
    # The signs make it uniform among all orthogonal matrices.
    signs = np.sign(np.diagonal(upper, axis1=1, axis2=2))
    return (orthogonal * signs[:, None, :]).astype(np.float32)


def gate_biases(gate_init: str, forget_bias: float, hidden_size: int, seed: int) -> np.ndarray:
    """The biases of the gates i, f, g, o: (4, H) float32.

    `constant`: f has `forget_bias`. `chrono`: f has log(U[1, T - 1]), and i the opposite (Tallec &
    Ollivier, 2018, arXiv 1804.11188).
    """
    biases = np.zeros((4, hidden_size), np.float32)
    if gate_init == "constant":
        biases[1] = forget_bias
    else:
        longest = _NUM_STEPS - 1
        biases[1] = np.log(np.random.default_rng([seed, 1]).uniform(1, longest, hidden_size))
        biases[0] = -biases[1]
    return biases
