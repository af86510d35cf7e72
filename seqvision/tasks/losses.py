"""Loss functions."""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float32

from seqvision.shapes import Labels, Lengths, Logits, Mask, PerExample, StepLogits, Texts

# The log probability of what cannot be; optax's own.
_NEVER = -1e5
# Later than any step.
_NO_STEP = 2**30


def cross_entropy(logits: Logits, labels: Labels, label_smoothing: float = 0.0) -> PerExample:
    """Softmax cross entropy in nats, one value per example.

    Args:
      logits: (B, K).
      labels: (B,), 0 to K - 1.
      label_smoothing: fraction of the target spread evenly over all K classes (Szegedy et al.,
        2016, section 7).
    """
    targets = jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    smoothed = (1.0 - label_smoothing) * targets + label_smoothing / logits.shape[-1]
    return -(smoothed * jax.nn.log_softmax(logits)).sum(axis=-1)


def last_step(logits: Logits | StepLogits, lengths: Lengths | None = None) -> Logits:
    """Logits at the end: (B, K) as they are, (B, T, K) at each sequence's last step.

    A sequence of length 0 has no last step: its logits are 0.
    """
    if logits.ndim == 2:
        return logits
    if lengths is None:
        return logits[:, -1]
    last = jnp.maximum(lengths - 1, 0)[:, None, None]
    return jnp.where(lengths[:, None] > 0, jnp.take_along_axis(logits, last, axis=1)[:, 0], 0)


def step_cross_entropy(
    logits: StepLogits,
    labels: Labels,
    lengths: Lengths | None = None,
    step_weight: float = 0.0,
    label_smoothing: float = 0.0,
) -> PerExample:
    """Cross entropy of a network that classifies after every step, one value per example.

    Args:
      logits: (B, T, K).
      labels: (B,); the same for every step.
      lengths: steps of each sequence; all by default.
      step_weight: w in (1 - w) * loss of the last step + w * mean loss over all steps.
      label_smoothing: see `cross_entropy`.
    """
    num_examples, num_steps, num_classes = logits.shape
    last = cross_entropy(last_step(logits, lengths), labels, label_smoothing)
    if step_weight == 0:
        return last
    logits = _real_steps(logits, lengths)
    each = cross_entropy(
        logits.reshape(-1, num_classes), jnp.repeat(labels, num_steps), label_smoothing
    ).reshape(num_examples, num_steps)
    if lengths is None:
        return (1 - step_weight) * last + step_weight * each.mean(axis=1)
    real = jnp.arange(num_steps, dtype=jnp.int32)[None] < lengths[:, None]
    num_real = jnp.maximum(lengths, 1).astype(each.dtype)
    mean = jnp.where(real, each, 0).sum(axis=1) / num_real
    return (1 - step_weight) * last + step_weight * mean


def ctc(
    logits: StepLogits,
    lengths: Lengths,
    labels: Texts,
    label_lengths: Lengths,
    ends: Texts | None = None,
    max_delay: int = 0,
) -> PerExample:
    """Connectionist temporal classification in nats, one value per text (Graves et al., 2006).

    Where the columns of the symbols are known, only paths count that say each symbol 1 to
    `max_delay` columns after its end, or after that of another of its kind (Senior et al., 2015,
    section 3, whose limit is on one side): else a network that reads in one direction learns to
    wait for more.

    Args:
      logits: (B, T, K), class 0 being the blank; -inf is a log probability of -1e5. What stands
        behind a sequence's steps, be it NaN, reaches neither losses nor gradients.
      lengths: (B,), steps of each sequence.
      labels: (B, L), 1 to K - 1, padded with 0.
      label_lengths: (B,), symbols of each text.
      ends: (B, L), the last step of each symbol; no limit without them.
      max_delay: steps.

    Returns:
      Losses; 0 for a text that does not fit its steps or its ends, see `is_feasible`.
    """
    import optax  # Takes long: predictions do without it.

    log_probs = jax.nn.log_softmax(jnp.maximum(_real_steps(logits, lengths), _NEVER))
    if ends is not None:
        log_probs = _within_delay(log_probs, labels, label_lengths, ends, max_delay)
    losses = optax.ctc_loss(
        log_probs,
        _padding(lengths, logits.shape[1]),
        labels,
        _padding(label_lengths, labels.shape[1]),
    )
    fits = is_feasible(lengths, labels, label_lengths, ends, max_delay)
    return jnp.where(fits, losses, 0.0)


def is_feasible(
    lengths: Lengths,
    labels: Texts,
    label_lengths: Lengths,
    ends: Texts | None = None,
    max_delay: int = 0,
) -> Mask:
    """Whether each text has an alignment: one step a symbol, and a blank between equal neighbours.

    With `ends`, one whose symbols are in time, see `ctc`. `optax.ctc_loss` gives some 1e5 where
    there is none.
    """
    repeats = jnp.pad(labels[:, 1:] == labels[:, :-1], ((0, 0), (1, 0)))
    written = jnp.arange(labels.shape[1], dtype=jnp.int32)[None] < label_lengths[:, None]
    if ends is None:
        num_repeats = (repeats & written).sum(axis=1, dtype=jnp.int32)
        return label_lengths + num_repeats <= lengths

    # Each symbol in turn takes the first step that it may have: none is better for those behind it.
    def step(after: Lengths, symbol: tuple[Array, ...]) -> tuple[Lengths, None]:
        label, is_repeat, is_written = symbol
        least = after + is_repeat
        same_kind = (labels == label[:, None]) & written
        firsts = jnp.maximum(ends + 1, least[:, None])
        possible = same_kind & (firsts <= jnp.minimum(ends + max_delay, lengths[:, None] - 1))
        first = jnp.where(possible, firsts, _NO_STEP).min(axis=1)
        return jnp.where(is_written, jnp.minimum(first + 1, _NO_STEP), after), None

    symbols = labels.T, repeats.T.astype(jnp.int32), written.T
    after, _ = jax.lax.scan(step, jnp.zeros_like(lengths), symbols)
    return (after < _NO_STEP) & (after <= lengths)


def _real_steps(logits: StepLogits, lengths: Lengths | None) -> StepLogits:
    """0 behind each sequence: a NaN there, times a gradient of 0, would be NaN."""
    if lengths is None:
        return logits
    real = jnp.arange(logits.shape[1], dtype=jnp.int32)[None] < lengths[:, None]
    return jnp.where(real[..., None], logits, 0.0)


def _within_delay(
    log_probs: StepLogits, labels: Texts, label_lengths: Lengths, ends: Texts, max_delay: int
) -> Float32[Array, "B T K+1"]:
    """Forbids each symbol but where one of its kind is allowed; the blank stays.

    What is forbidden goes into one more class. No text has it, and it keeps the sum of the
    probabilities at 1, where `optax.ctc_loss` would else take the rest for the whole.
    """
    step = jnp.arange(log_probs.shape[1], dtype=jnp.int32)[None, :, None]
    written = jnp.arange(labels.shape[1], dtype=jnp.int32)[None] < label_lengths[:, None]
    delay = step - ends[:, None]
    in_time = (delay >= 1) & (delay <= max_delay) & written[:, None]
    kinds = jax.nn.one_hot(labels, log_probs.shape[2], dtype=jnp.float32)
    allowed = jnp.einsum("btn,bnk->btk", in_time.astype(jnp.float32), kinds) > 0
    allowed = allowed.at[:, :, 0].set(True)
    forbidden = jax.nn.logsumexp(jnp.where(allowed, _NEVER, log_probs), axis=-1, keepdims=True)
    return jnp.concatenate([jnp.where(allowed, log_probs, _NEVER), forbidden], axis=-1)


def _padding(lengths: Lengths, size: int) -> Float32[Array, "B size"]:
    """1 behind each sequence, as optax has it."""
    places = jnp.arange(size, dtype=jnp.int32)[None]
    return (places >= lengths[:, None]).astype(jnp.float32)
