"""Recurrent layers: sequences to hidden states, one layer or several, in one direction or both."""

import functools
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from seqvision.models.cells import CELLS
from seqvision.models.cells.base import TIME_AXIS, Carry, Cell, CellOptions
from seqvision.models.cells.gated import LoopCell
from seqvision.models.dropout import Dropout
from seqvision.models.execution.choose import choose_execution
from seqvision.models.execution.cudnn_lstm import cudnn_lstm
from seqvision.models.execution.fused_gru import fused_gru
from seqvision.models.execution.fused_lstm import fused_lstm
from seqvision.models.execution.native_lstm import native_lstm
from seqvision.models.padding import reversed_steps, step_mask
from seqvision.shapes import Features, Hidden, HiddenSequence, Lengths, Sequence, StepMask

StackCarry = tuple[Any, ...]
"""The carry of each layer; with two directions, its pair (forward, backward)."""


class RecurrentFields(nn.Module):
    """What a layer and a stack of layers have in common.

    Attributes:
      cell: a name in `cells.CELLS`.
      hidden_size: H.
      options: see `cells.base.CellOptions`. The number of steps of `chrono` is that of the inputs
        with which the parameters are initialised.
      recurrent_dropout: rate at which units of the candidate are dropped in training, one mask for
        all steps of a sequence (Semeniuta et al., 2016, arXiv 1603.05118); takes the rng `dropout`.
      execution: how the steps are run, see `execution.choose.choose_execution`; the same
        parameters, and but for rounding the same values and gradients. Only `scan` can be
        differentiated in forward mode (`jax.jvp`, `jax.jacfwd`), `native` only once.
      axis_name: see `dropout.Dropout`.
      dtype: precision of the matrix products; parameters, carry and outputs are float32.
    """

    cell: str = "lstm"
    hidden_size: int = 128
    options: CellOptions = CellOptions()
    recurrent_dropout: float = 0.0
    execution: str = "auto"
    axis_name: str | None = None
    dtype: jnp.dtype | None = None


class Recurrent(RecurrentFields):
    """One recurrent layer, read in one direction. Its parameters are those of `cell`.

    Padding is on the right and changes nothing, whatever it holds: no output before it, not the
    final carry, not a gradient.

    Attributes:
      reverse: reads each sequence from its last step back to its first; the outputs stay in the
        order of time.
      Others: see `RecurrentFields`.
    """

    reverse: bool = False

    @nn.compact
    def __call__(
        self,
        inputs: Sequence,
        lengths: Lengths | None = None,
        initial_carry: Carry | None = None,
        *,
        train: bool = False,
        with_outputs: bool = True,
    ) -> tuple[HiddenSequence | None, Carry]:
        """Reads whole sequences, or the next part of them.

        Args:
          inputs: (B, T, D).
          lengths: (B,), steps of each sequence, 0 to T; T by default.
          initial_carry: the memory before the first step; zeros by default.
          train: drops units out.
          with_outputs: whether the first of the results is wanted; else it is None.

        Returns:
          The hidden state after every step (B, T, H), 0 in the padding, and the carry after the
          last step that was read: the initial one where the length is 0.

        Raises:
          ValueError: shapes do not fit, there is no step, or an option is wrong.
        """
        _check_shapes(inputs.shape, None if lengths is None else lengths.shape)
        if self.cell not in CELLS:
            raise ValueError(f"cell '{self.cell}' is not known; choose one of {', '.join(CELLS)}")
        batch_size, num_steps, input_size = inputs.shape
        path = self._path()
        cell_class = CELLS[self.cell]
        if path == "scan" and issubclass(cell_class, LoopCell):
            cell_class = _looped(cell_class)
        cell: Any = cell_class(
            input_size=input_size,
            hidden_size=self.hidden_size,
            options=self.options,
            num_steps=num_steps,
            dtype=self.dtype,
            name="cell",
        )
        carry: Any = cell.initialize_carry(batch_size) if initial_carry is None else initial_carry
        mask = None
        if lengths is not None:
            lengths = jnp.minimum(lengths, num_steps)
            mask = step_mask(lengths, num_steps)
            # NaN and infinity in the padding would reach gradients even where multiplied by 0.
            inputs = jnp.where(mask[..., None], inputs, jnp.zeros_like(inputs))
        candidate_mask = self._candidate_mask(batch_size) if train else None
        outputs: Any
        if path == "cudnn":
            if candidate_mask is not None:
                raise ValueError("execution 'cudnn' has no recurrent dropout; choose scan or auto")
            kernels = cell.input_kernel, cell.recurrent_kernel, cell.bias
            outputs, carry = cudnn_lstm(*kernels, inputs, carry, lengths, reverse=self.reverse)
        elif path in ("fused", "native", "persistent"):
            outputs, carry = self._read_fused(
                path, cell, inputs, carry, mask, candidate_mask, with_outputs
            )
        else:
            outputs, carry = self._read_in_steps(cell, inputs, lengths, carry, mask, candidate_mask)
        return outputs if with_outputs else None, carry

    @nn.nowrap
    def _path(self) -> str:
        """A name in `execution.choose.EXECUTIONS`, but `auto`."""
        dtype = jnp.dtype(jnp.float32 if self.dtype is None else self.dtype)
        path = choose_execution(
            self.execution, self.cell, self.hidden_size, dtype.name, self.options.needs_scan
        )
        # These ask for a GPU even where only shapes are wanted.
        return "scan" if path in ("cudnn", "persistent") and self.is_initializing() else path

    @nn.nowrap
    def _candidate_mask(self, batch_size: int) -> Hidden | None:
        """The mask of recurrent dropout, one for all steps; None without dropout."""
        if self.recurrent_dropout == 0:
            return None
        ones = jnp.ones((batch_size, self.hidden_size), jnp.float32)
        return Dropout(self.recurrent_dropout, self.axis_name)(ones, train=True)

    @nn.nowrap
    def _read_fused(
        self,
        path: str,
        cell: Any,
        inputs: Sequence,
        carry: Any,
        mask: StepMask | None,
        candidate_mask: Hidden | None,
        with_outputs: bool,
    ) -> tuple[HiddenSequence | None, Any]:
        parameters = [cell.input_kernel, cell.recurrent_kernel, cell.bias]
        if self.cell == "gru":
            parameters.append(cell.candidate_bias)
        fused: Any = fused_gru if self.cell == "gru" else fused_lstm
        if path == "native":
            fused = functools.partial(native_lstm, with_outputs=with_outputs)
        if path == "persistent":
            # Pallas takes 0.3 s to import.
            from seqvision.models.execution.persistent_lstm import persistent_lstm

            fused = persistent_lstm
        arguments = inputs, carry, mask, candidate_mask
        return fused(*parameters, *arguments, reverse=self.reverse, dtype=self.dtype)

    @nn.nowrap
    def _read_in_steps(
        self,
        cell: Any,
        inputs: Sequence,
        lengths: Lengths | None,
        carry: Any,
        mask: StepMask | None,
        candidate_mask: Hidden | None,
    ) -> tuple[HiddenSequence, Any]:
        if self.reverse:
            inputs = reversed_steps(inputs, lengths)
        if not isinstance(cell, LoopCell):
            read, steps = cell.read, cell.project(inputs)
        elif inputs.shape[-1] > len(cell.gate_names) * self.hidden_size:
            read, steps = cell.masked_step, cell.project(inputs)
        else:
            # The gradient needs every step's inputs or their projection: keep the smaller ones.
            read, steps = cell.project_and_masked_step, inputs
        carry, outputs = read(carry, steps, mask, candidate_mask)
        return reversed_steps(outputs, lengths) if self.reverse else outputs, carry


class RecurrentStack(RecurrentFields):
    """Recurrent layers on top of each other, each reading the outputs of the one below.

    Layers are named `layer_0`, or `layer_0_forward` and `layer_0_backward`, whose outputs are
    joined in this order (Schuster & Paliwal, 1997).

    Attributes:
      num_layers: at least 1.
      bidirectional: every layer reads the sequence in both directions.
      dropout: rate at which units are dropped between layers in training, independently at all
        steps (Zaremba et al., 2014, arXiv 1409.2329); takes the rng `dropout`.
      Others: see `RecurrentFields`.
    """

    num_layers: int = 1
    bidirectional: bool = False
    dropout: float = 0.0

    @nn.compact
    def __call__(
        self,
        inputs: Sequence,
        lengths: Lengths | None = None,
        initial_carry: StackCarry | None = None,
        *,
        train: bool = False,
        with_outputs: bool = True,
    ) -> tuple[HiddenSequence | None, StackCarry]:
        """Reads whole sequences, or (in one direction) the next part of them.

        Args:
          inputs: (B, T, D).
          lengths: (B,), steps of each sequence, 0 to T; T by default.
          initial_carry: one for each layer (pairs if bidirectional), as returned; zeros by default.
          train: drops units out.
          with_outputs: whether the first of the results is wanted; else it is None.

        Returns:
          The last layer's outputs (B, T, H), or (B, T, 2H) if bidirectional, 0 in the padding;
          and the carry of every layer.

        Raises:
          ValueError: as `Recurrent`; or there is no layer, or not one carry for each.
        """
        if self.num_layers < 1:
            raise ValueError(f"num_layers: {self.num_layers}; there must be at least 1")
        if initial_carry is not None and len(initial_carry) != self.num_layers:
            raise ValueError(
                f"initial_carry has {len(initial_carry)} entries, one for each of num_layers ="
                f" {self.num_layers} is needed"
            )
        directions = {"_forward": False, "_backward": True} if self.bidirectional else {"": False}
        final_carry = []
        outputs: Any = inputs
        for layer in range(self.num_layers):
            if layer > 0:
                outputs = Dropout(self.dropout, self.axis_name)(outputs, train=train)
            before: Any = [None] * len(directions)
            if initial_carry is not None:
                before = initial_carry[layer] if self.bidirectional else [initial_carry[layer]]
            wanted = with_outputs or layer < self.num_layers - 1
            read: list[Any] = [
                self._layer(f"layer_{layer}{suffix}", reverse)(
                    outputs, lengths, carry, train=train, with_outputs=wanted
                )
                for (suffix, reverse), carry in zip(directions.items(), before, strict=True)
            ]
            outputs = jnp.concatenate([output for output, _ in read], axis=-1) if wanted else None
            carries = tuple(carry for _, carry in read)
            final_carry.append(carries if self.bidirectional else carries[0])
        return outputs, tuple(final_carry)

    @nn.nowrap
    def final_hidden(self, carry: StackCarry) -> Features:
        """The last layer's hidden state after all that it read: (B, H), or (B, 2H).

        Forward, this is after the last step; backward, after step 0.
        """
        last = carry[-1] if self.bidirectional else (carry[-1],)
        hidden = [memory[1] if isinstance(memory, tuple) else memory for memory in last]
        return jnp.concatenate(hidden, axis=-1)

    @nn.nowrap
    def _layer(self, name: str, reverse: bool) -> Recurrent:
        return Recurrent(
            cell=self.cell,
            hidden_size=self.hidden_size,
            options=self.options,
            recurrent_dropout=self.recurrent_dropout,
            execution=self.execution,
            axis_name=self.axis_name,
            dtype=self.dtype,
            reverse=reverse,
            name=name,
        )


def _looped(cell_class: type[Cell]) -> type[Cell]:
    """The cell, its masked steps replaced by loops of them over the time axis.

    The class is lifted, not a function that calls the cell, since Flax's scan of functions
    handles rngs differently.
    """
    return nn.scan(
        cell_class,
        methods=["masked_step", "project_and_masked_step"],
        variable_broadcast="params",
        split_rngs={"params": False},
        in_axes=(TIME_AXIS, TIME_AXIS, nn.broadcast),
        out_axes=TIME_AXIS,
    )


def _check_shapes(inputs: tuple[Any, ...], lengths: tuple[Any, ...] | None) -> None:
    if len(inputs) != 3:
        raise ValueError(f"inputs has shape {inputs}, not (B, T, D)")
    if inputs[TIME_AXIS] == 0:
        raise ValueError(f"inputs has shape {inputs}: T = 0, there is no step to read")
    if lengths is not None and lengths != inputs[:1]:
        raise ValueError(
            f"lengths has shape {lengths}, inputs {inputs}: one length for each of the"
            f" B = {inputs[0]} sequences is needed"
        )
