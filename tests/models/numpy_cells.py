"""The recurrent cells again: equations of their papers, one example and one step after another.

In numpy, float64 or complex128. The latter is for derivatives: the imaginary part of f(x + i h) / h
is f'(x) to the last digits for tiny h (Squire & Trapp, 1998).
"""

from typing import Any

import numpy as np

PAIRS = ("lstm", "layer_norm_lstm")


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def layer_norm(z: np.ndarray, scale: np.ndarray) -> np.ndarray:
    mean = z.sum() / z.size
    variance = ((z - mean) ** 2).sum() / z.size
    return (z - mean) / np.sqrt(variance + 1e-5) * scale * (variance >= 1e-5)


def lstm(p: Any, x: np.ndarray, memory: Any, mask: np.ndarray, refine: bool) -> Any:
    c, h = memory
    first, f, g, o = np.split(x @ p["input_kernel"] + h @ p["recurrent_kernel"] + p["bias"], 4)
    u = mask * np.tanh(g)
    if refine:
        f, r = sigmoid(f), sigmoid(first)
        effective = r * (1 - (1 - f) ** 2) + (1 - r) * f**2
        c = effective * c + (1 - effective) * u
    else:
        c = sigmoid(f) * c + sigmoid(first) * u
    return c, sigmoid(o) * np.tanh(c)


def layer_norm_lstm(p: Any, x: np.ndarray, memory: Any, mask: np.ndarray, refine: bool) -> Any:
    c, h = memory
    z = layer_norm(h @ p["recurrent_kernel"], p["recurrent_scale"])
    z = z + layer_norm(x @ p["input_kernel"], p["input_scale"]) + p["bias"]
    i, f, g, o = np.split(z, 4)
    c = sigmoid(f) * c + sigmoid(i) * mask * np.tanh(g)
    return c, sigmoid(o) * np.tanh(layer_norm(c, p["memory_scale"]) + p["memory_offset"])


def gru(p: Any, x: np.ndarray, h: np.ndarray, mask: np.ndarray, refine: bool) -> Any:
    gates = 4 if refine else 3
    w = np.split(x @ p["input_kernel"] + p["bias"], gates)
    u = np.split(h @ p["recurrent_kernel"], gates)
    r, z = sigmoid(w[0] + u[0]), sigmoid(w[1] + u[1])
    if refine:
        q = sigmoid(w[3] + u[3])
        z = q * (1 - (1 - z) ** 2) + (1 - q) * z**2
    n = np.tanh(w[2] + r * (u[2] + p["candidate_bias"]))
    return (1 - z) * mask * n + z * h


def gru_reset_before(p: Any, x: np.ndarray, h: np.ndarray, mask: np.ndarray, refine: bool) -> Any:
    w_r, w_z, w_n = np.split(p["input_kernel"], 3, axis=1)
    u_r, u_z, u_n = np.split(p["recurrent_kernel"], 3, axis=1)
    b_r, b_z, b_n = np.split(p["bias"], 3)
    r, z = sigmoid(x @ w_r + h @ u_r + b_r), sigmoid(x @ w_z + h @ u_z + b_z)
    n = np.tanh(x @ w_n + (r * h) @ u_n + b_n)
    return (1 - z) * mask * n + z * h


def janet(p: Any, x: np.ndarray, h: np.ndarray, mask: np.ndarray, refine: bool) -> Any:
    s, g = np.split(x @ p["input_kernel"] + h @ p["recurrent_kernel"] + p["bias"], 2)
    return sigmoid(s) * h + (1 - sigmoid(s - 1)) * mask * np.tanh(g)


def min_lstm(p: Any, x: np.ndarray, h: np.ndarray, mask: np.ndarray, refine: bool) -> Any:
    i, f, candidate = np.split(x @ p["input_kernel"] + p["bias"], 3)
    i, f = sigmoid(i), sigmoid(f)
    return f / (f + i) * h + i / (f + i) * mask * candidate


def min_gru(p: Any, x: np.ndarray, h: np.ndarray, mask: np.ndarray, refine: bool) -> Any:
    z, candidate = np.split(x @ p["input_kernel"] + p["bias"], 2)
    return (1 - sigmoid(z)) * h + sigmoid(z) * mask * candidate


_EQUATIONS = (lstm, gru, gru_reset_before, layer_norm_lstm, janet, min_lstm, min_gru)
STEPS = {step.__name__: step for step in _EQUATIONS}
NAMES = tuple(STEPS)
CASES = [(name, False) for name in NAMES] + [("lstm", True), ("gru", True)]
"""Every cell, and with refine_gates where it has a refine gate."""


def read(
    name: str,
    refine: bool,
    params: Any,
    inputs: np.ndarray,
    carry: Any,
    lengths: Any = None,
    mask: np.ndarray | None = None,
    reverse: bool = False,
) -> tuple[np.ndarray, Any]:
    """Outputs (B, T, H) and final carry; `carry` is (c, h) or h, each (B, H)."""
    states = carry if name in PAIRS else (carry,)
    batch, hidden = states[0].shape
    outputs = np.zeros((batch, inputs.shape[1], hidden), np.result_type(inputs, params["bias"]))
    outputs = outputs.astype(np.result_type(outputs, states[0]))
    final = [state.astype(outputs.dtype) for state in states]
    for b in range(batch):
        length = inputs.shape[1] if lengths is None else lengths[b]
        m = np.ones(hidden) if mask is None else mask[b]
        memory = tuple(s[b] for s in states) if name in PAIRS else states[0][b]
        for t in reversed(range(length)) if reverse else range(length):
            memory = STEPS[name](params, inputs[b, t], memory, m, refine)
            outputs[b, t] = memory[1] if name in PAIRS else memory
        for state, value in zip(final, memory if name in PAIRS else (memory,), strict=True):
            state[b] = value
    return outputs, tuple(final) if name in PAIRS else final[0]


def derivative(function: Any, leaves: list[np.ndarray], number: int, index: Any) -> float:
    """Of function(leaves) by one entry of one leaf."""
    moved = [leaf.astype(np.complex128) for leaf in leaves]
    moved[number][index] += 1e-30j
    return np.imag(function(moved)) / 1e-30


def slope(function: Any, leaves: list[np.ndarray], number: int, direction: np.ndarray) -> float:
    """Of function(leaves) as one leaf moves in a direction."""
    moved = [leaf.astype(np.complex128) for leaf in leaves]
    moved[number] = moved[number] + 1e-30j * direction
    return np.imag(function(moved)) / 1e-30
