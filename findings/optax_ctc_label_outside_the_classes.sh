#!/usr/bin/env bash
# optax 0.2.8, ctc_loss: a label outside the classes is no error; it counts as a class of probability 1.
#
# The log-probabilities of the labels are taken by a product with one_hot(labels, K), which is a row of zeros for a label
# of K or more: log 1. So the loss of a label that cannot be read is smaller than that of any label that can,
# and it lowers the loss of a batch whose labels were numbered from 1 by mistake.
# Seen: 6 frames, 4 classes of equal logits: label 2 has the loss 5.27, label 4 (outside) -0.57.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet jax==0.9.2 jaxlib==0.9.2 optax==0.2.8 numpy==2.3.5
JAX_PLATFORMS=cpu "$folder/venv/bin/python" - <<'PYTHON'
import jax.numpy as jnp
import optax


def loss(label):
    logits, labels = jnp.zeros((1, 6, 4)), jnp.array([[label]])
    return float(optax.ctc_loss(logits, jnp.zeros((1, 6)), labels, jnp.zeros((1, 1)))[0])


inside, outside = loss(2), loss(4)
print(f"label 2 of the classes 0 to 3: {inside:.4f}; label 4: {outside:.4f}")
# By hand: a label of one symbol has 6 * 7 / 2 paths of 6 frames, each of probability 4 ** -6.
assert abs(inside - (-jnp.log(21 * 4.0**-6))) < 1e-3, inside
assert outside < inside - 1, "changed: a label outside the classes is no longer likely"
PYTHON
