"""Reading of lines of writing."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh
from jaxtyping import Float32

from seqvision.data.alphabet import Alphabet
from seqvision.data.dataset import Split
from seqvision.data.files.paths import few, shown
from seqvision.data.preprocessing import to_unit_range
from seqvision.decoding import Decoded, beam_decode, greedy_decode, letter_ends
from seqvision.errors import UserError
from seqvision.models import create_reader
from seqvision.runtime.mesh import shard_batch
from seqvision.shapes import ByteImages, Lengths, Mask, PerExample, StepLogits
from seqvision.tasks.base import Evaluation, Keep, Take, Task
from seqvision.tasks.losses import ctc, is_feasible
from seqvision.tasks.metric_text import format_metric
from seqvision.tasks.predictions import Transcription
from seqvision.tasks.priors import load_prior
from seqvision.tasks.reading_metrics import ReadingMetrics, ScoredLine, TextSums, reading_metrics
from seqvision.tasks.split_results import split_results

Decoder = Callable[[Any, Any], Decoded]


@dataclasses.dataclass(frozen=True)
class TextReading(Task):
    """A text for each line of writing.

    Attributes:
      symbols: the alphabet.
      delay: columns, see `models.line_reader.LineReader`.
      letter_delay: see `decoding.letter_ends`.
      beam_width: texts kept by the beam search; 0 decodes greedily.
      prior: of the texts, see `priors.load_prior`; read when the first decoder is made.
      prior_weight: see `decoding.beam_decode`.
      direction: of the writing, see `Alphabet`.
    """

    symbols: tuple[str, ...]
    delay: int
    letter_delay: int = 0
    beam_width: int = 0
    prior: str = ""
    prior_weight: float = 1.0
    direction: str = "as_typed"

    outputs: ClassVar[str] = "symbols, and the blank of CTC"
    reads_lines: ClassVar[bool] = True

    def create_model(self, **fields: Any) -> nn.Module:
        for unused in (
            "readout",
            "patch_size",
            "cnn_padding",
            "cnn_per_frame",
            "backbone",
            "backbone_trainable",
        ):
            del fields[unused]
        return create_reader(num_classes=len(self.symbols) + 1, delay=self.delay, **fields)

    def zeros(self) -> TextSums:
        return TextSums.zeros()

    def losses(self, logits: StepLogits, batch: dict[str, Array]) -> PerExample:
        return ctc(
            logits,
            batch["lengths"] + self.delay,
            batch["labels"],
            batch["label_lengths"],
            batch.get("ends"),
            self.delay,
        )

    def sums(
        self, logits: StepLogits, batch: dict[str, Array], losses: PerExample, mask: Mask
    ) -> TextSums:
        infeasible = mask & ~self.is_feasible(batch)
        return TextSums(
            loss=jnp.where(mask, losses, 0.0).sum(),
            count=mask.sum(dtype=jnp.int32),
            unfit=infeasible.sum(dtype=jnp.int32),
        )

    def row(self, sums: TextSums) -> dict[str, float]:
        return sums.row()

    def is_feasible(self, batch: dict[str, Array]) -> Mask:
        """See `losses.is_feasible`."""
        return is_feasible(
            batch["lengths"] + self.delay,
            batch["labels"],
            batch["label_lengths"],
            batch.get("ends"),
            self.delay,
        )

    def create_predict_step(self, model: nn.Module, mesh: Mesh) -> Callable[..., Decoded]:
        decode = self.decoder()

        def predict_step(params: Any, lines: ByteImages, lengths: Lengths) -> Decoded:
            logits: Any = model.apply({"params": params}, to_unit_range(lines), lengths)
            return decode(jax.nn.log_softmax(logits), lengths)

        return shard_batch(predict_step, mesh, num_replicated=1)

    def predictions(
        self, outputs: Any, lengths: np.ndarray | None, count: int
    ) -> Iterator[Transcription]:
        assert lengths is not None
        for index in range(count):
            symbols = self.read_symbols(outputs, index)
            text, order = self._alphabet.read(outputs.symbols[index, symbols])
            starts = outputs.starts[index, symbols][order]
            yield Transcription(
                text=text,
                confidences=outputs.confidences[index, symbols][order],
                ends=letter_ends(starts, self.letter_delay, int(lengths[index])),
            )

    def read_symbols(self, decoded: Any, index: int) -> slice:
        """Which symbols of a line were read; no text begins or ends with a space."""
        count = int(decoded.num_symbols[index])
        return self._alphabet.trimmed(decoded.symbols[index, :count])

    def prediction_row(self, prediction: Transcription | None) -> dict[str, Any]:
        if prediction is None:
            return {"text": None, "confidences": None, "ends": None}
        confidences = np.round(prediction["confidences"].astype(np.float64), 4).tolist()
        ends = prediction["ends"].tolist()
        return {"text": prediction["text"], "confidences": confidences, "ends": ends}

    def create_evaluation(
        self, model: nn.Module, mesh: Mesh, take: Take, batch_size: int
    ) -> Evaluation:
        read_step = make_read_step(model, mesh, take, self, self.decoder())

        def step(params: Any, arrays: Any, indices: Any, _: Any) -> ReadOutput:
            return read_step(params, arrays, indices)

        def scored_lines(params: Any, split: Split, keep: Keep | None) -> Iterator[ScoredLine]:
            for output, count in split_results(step, params, split, batch_size, mesh):
                lines = [
                    _scored_line(output, number, self.read_symbols(output.decoded, number))
                    for number in range(count)
                ]
                if keep is not None:
                    found = self.predictions(output.decoded, output.batch["lengths"], count)
                    for prediction, line in zip(found, lines, strict=True):
                        keep(prediction, line.truth)
                yield from lines

        def evaluate(params: Any, split: Split, keep: Keep | None = None) -> ReadingMetrics:
            return reading_metrics(scored_lines(params, split, keep), self.delay)

        return evaluate

    def report(self, metrics: ReadingMetrics, examples: Sequence[Any]) -> Iterator[str]:
        """All metrics, and the fraction of lines of each length that are right."""
        width = self.beam_width
        prior = " with a prior" if self.prior else ""
        yield f"decoding  {f'beam of {width}{prior}' if width else 'greedy'}"
        for name, value in metrics.row().items():
            yield f"{name.replace('_', ' '):<14}  {format_metric(name, value)}"
        yield "exact match by number of symbols"
        for length, (right, number) in metrics.exact_by_length.items():
            yield f"  {length:>4}  {right / number:>7.2%} of {number}"

    def truth(self, label: np.ndarray) -> str:
        return self._alphabet.decode(label)

    def infeasible(self, name: str, split: Split) -> Iterator[str]:
        """Names the user's own texts that cannot be written within the columns of their lines."""
        if not split.names:
            return
        texts = {field: split.arrays[field] for field in ("lengths", "labels", "label_lengths")}
        infeasible = np.flatnonzero(~np.asarray(jax.jit(self.is_feasible)(texts)))
        names = few([shown(split.names[number]) for number in infeasible])
        if len(infeasible) == len(split):
            raise UserError(
                f"{name}: none of its {len(split)} texts fits the columns of its line ({names});"
                " check the texts, or raise config.data.height or config.reading.delay"
            )
        if len(infeasible):
            yield (
                f"{name}: {len(infeasible)} of {len(split)} texts do not fit their columns and are"
                f" left out of the loss: {names}"
            )

    def decoder(self) -> Decoder:
        """Decodes the most probable text of each line, with room for a symbol in each column.

        Returns:
          A function of log probabilities (B, T, K), of the columns and of the empty ones behind
          them, and of the columns of each line (B,).

        Raises:
          UserError: the prior cannot be had.
        """
        prior = load_prior(self.prior, self._alphabet) if self.beam_width else None

        def decode(log_probs: Float32[Array, "B T K"], lengths: Lengths) -> Decoded:
            lengths = lengths + self.delay
            if not self.beam_width:
                return greedy_decode(log_probs, lengths)
            beams = beam_decode(
                log_probs,
                lengths,
                beam_width=self.beam_width,
                max_symbols=log_probs.shape[1],
                prior=prior,
                prior_weight=self.prior_weight,
            )
            return jax.tree.map(lambda leaf: leaf[:, 0], beams.decoded)

        return decode

    @functools.cached_property
    def _alphabet(self) -> Alphabet:
        return Alphabet(self.symbols, self.direction)


class ReadOutput(NamedTuple):
    """The texts of a batch, and the batch but for its pictures."""

    # No array types: they lie on the devices first, and later on the host.
    decoded: Any
    losses: Any
    feasible: Any
    batch: dict[str, Any]


def make_read_step(
    model: nn.Module, mesh: Mesh, take: Take, task: TextReading, decode: Decoder
) -> Callable[..., ReadOutput]:
    """Compiles `read_step(params, arrays, indices) -> ReadOutput` of a batch."""

    def read_step(params: Any, arrays: Any, indices: Any) -> ReadOutput:
        batch = take(arrays, indices)
        inputs, lengths = to_unit_range(batch.pop("inputs")), batch["lengths"]
        logits: Any = model.apply({"params": params}, inputs, lengths)
        log_probs = jax.nn.log_softmax(logits)
        return ReadOutput(
            decode(log_probs, lengths),
            task.losses(logits, batch),
            task.is_feasible(batch),
            batch,
        )

    return shard_batch(read_step, mesh, num_replicated=2)


def _scored_line(output: ReadOutput, number: int, read: slice) -> ScoredLine:
    decoded, batch = output.decoded, output.batch
    written = slice(int(batch["label_lengths"][number]))
    return ScoredLine(
        symbols=decoded.symbols[number, read],
        starts=decoded.starts[number, read],
        ends=decoded.ends[number, read],
        num_columns=int(batch["lengths"][number]),
        truth=batch["labels"][number, written],
        truth_ends=batch["ends"][number, written] if "ends" in batch else None,
        loss=float(output.losses[number]),
        fits=bool(output.feasible[number]),
    )
