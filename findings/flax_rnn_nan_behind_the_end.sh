#!/usr/bin/env bash
# flax 0.12.6, nn.RNN with seq_lengths: NaN in the padding behind a sequence's end makes all gradients of the cell NaN.
#
# The final carry and the outputs up to the end are those of the sequence alone; the loss over them is finite. But the
# steps behind the end are still taken, and in the backward pass their zero gradients are multiplied by NaN.
# Seen: loss finite, gradients of the input kernels all NaN; with zeros in the padding the gradients are finite.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet jax==0.9.2 jaxlib==0.9.2 flax==0.12.6 numpy==2.3.5
JAX_PLATFORMS=cpu "$folder/venv/bin/python" - <<'PYTHON'
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

rnn = nn.RNN(nn.OptimizedLSTMCell(4), return_carry=True)
lengths = jnp.array([3])
inputs = jax.random.normal(jax.random.key(0), (1, 5, 2))
params = rnn.init(jax.random.key(1), inputs)


def loss(params, inputs):
    (_, hidden), outputs = rnn.apply(params, inputs, seq_lengths=lengths)
    return hidden.sum() + outputs[:, :3].sum()


for name, padding in (("zeros", 0.0), ("NaN", np.nan)):
    padded = inputs.at[:, 3:].set(padding)
    value, grads = jax.value_and_grad(loss)(params, padded)
    finite = all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(grads))
    print(f"padding of {name}: loss {float(value):.4f}, gradients {'finite' if finite else 'not finite'}")
    assert np.isfinite(value)
    assert finite == (name == "zeros"), "changed"
PYTHON
