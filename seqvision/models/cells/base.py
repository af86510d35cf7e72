"""The base class of the recurrent cells, and the options that they have in common."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Float32

from seqvision.models.cells.initializers import gate_biases, keep_bias
from seqvision.models.cells.jax_operations import JaxOperations
from seqvision.models.cells.operations import Operations, Parameters
from seqvision.shapes import Hidden

TIME_AXIS = 1

MemoryPair = tuple[Hidden, Hidden]
Carry = Hidden | MemoryPair
"""A cell's memory: the LSTMs' cell state and hidden state (c, h), the hidden state h of others."""

Projected = Float32[Array, "*steps GH"]
"""What the inputs add to all G gates, side by side, each of width H."""

INITIAL = ("gate_init", "forget_bias", "recurrent_init")
"""The options that only decide where parameters start."""


@dataclasses.dataclass(frozen=True)
class CellOptions:
    """Options of a recurrent cell. Not every cell has all of them.

    Attributes:
      gate_init: where the biases of the gates that keep memory start: `constant`, `chrono` or
        `uniform`; see `initializers.keep_bias`. An input gate beside a keeping gate starts with
        the opposite bias under the latter two. All other biases start at 0.
      forget_bias: the bias of the keeping gate under `constant`.
      refine_gates: lets a refine gate r push the keeping gate f nearer to 0 or 1 than its sigmoid
        reaches easily: r (1 - (1 - f)^2) + (1 - r) f^2. With gate_init `uniform` this is the
        UR-LSTM or UR-GRU (Gu et al., 2020, arXiv 1910.09890), where r's bias starts opposite to
        f's; otherwise it starts at 0: with r = 1/2 the gate is f itself.
      recurrent_init: `orthogonal` or `identity`; see `initializers.recurrent_kernels`.
    """

    gate_init: str = "constant"
    forget_bias: float = 1.0
    refine_gates: bool = False
    recurrent_init: str = "orthogonal"

    @property
    def needs_scan(self) -> bool:
        """Whether an option changes the steps, which the hand-written paths do not know."""
        return any(
            getattr(self, field.name) != field.default
            for field in dataclasses.fields(self)
            if field.name not in INITIAL
        )


class Cell(nn.Module):
    """A recurrent cell with G gates, whose inputs meet their kernel before the loop over time.

    Parameters: `input_kernel` (D, G*H), `bias` (G*H,); each cell adds its own. They and the
    carry are float32.

    Attributes:
      input_size: D.
      hidden_size: H.
      options: see `CellOptions`.
      num_steps: T under gate_init `chrono`.
      dtype: precision of the matrix products.

    Raises:
      ValueError: an option is not known, or has no effect in this cell.
    """

    input_size: int
    hidden_size: int
    options: CellOptions = CellOptions()
    num_steps: Any = None
    dtype: jnp.dtype | None = None

    memory_is_pair: ClassVar[bool] = False
    """Whether the memory is (c, h), of which h is the output, or the output h alone."""

    gates: ClassVar[tuple[str, ...]]
    """In the order of the kernels' columns. Those with a start of their own are `keep`, which keeps
    the memory, `write`, which is 1 minus a keeping gate, `input`, which writes beside a keeping
    gate, and `refine`."""

    refined_gates: ClassVar[tuple[str, ...]] = ()
    """`gates` under `refine_gates`, where a cell has that option."""

    def setup(self) -> None:
        options = self.options
        if options.refine_gates and not self.refined_gates:
            raise ValueError("refine_gates: this cell has no refine gate; lstm and gru have one")
        signs = {
            "keep": 1,
            "write": -1,
            "input": 0 if options.gate_init == "constant" else -1,
            "refine": -1 if options.gate_init == "uniform" else 0,
        }
        bias_init = gate_biases(
            keep_bias(options.gate_init, options.forget_bias, self.num_steps),
            [signs.get(gate, 0) for gate in self.gate_names],
        )
        width = len(self.gate_names) * self.hidden_size
        # Its scale depends on D alone: one draw for all gates is as good as one for each.
        lecun_normal = nn.initializers.lecun_normal()
        self.input_kernel = self.param("input_kernel", lecun_normal, (self.input_size, width))
        self.bias = self.param("bias", bias_init, (width,))

    @property
    def gate_names(self) -> tuple[str, ...]:
        return self.refined_gates if self.options.refine_gates else self.gates

    def project(self, inputs: Float[Array, "*steps D"]) -> Projected:
        """What the inputs add to the gates, for as many time steps as there are.

        Args:
          inputs: (..., D).

        Returns:
          (..., G*H), with the bias.
        """
        return self.project_inputs(self._operations, self._parameters, inputs)

    @nn.nowrap
    def initialize_carry(self, batch_size: Any) -> Carry:
        """The memory before anything was read: zeros, (B, H); B may be a dimension of any size."""
        zeros = jnp.zeros((batch_size, self.hidden_size), jnp.float32)
        return (zeros, zeros) if self.memory_is_pair else zeros

    def step(
        self, carry: Any, projected: Projected, candidate_mask: Hidden | None = None
    ) -> tuple[Any, Hidden]:
        """One time step.

        Args:
          carry: the memory before the step.
          projected: (B, G*H), from `project`.
          candidate_mask: (B, H), multiplies what the step would write: recurrent dropout (Semeniuta
            et al., 2016, arXiv 1603.05118). The same one in all steps, scaled by 1 / (1 - rate).

        Returns:
          The memory after the step, and the output (B, H).
        """
        carry = self.next_memory(
            self._operations,
            self._parameters,
            carry,
            projected,
            self.options.refine_gates,
            candidate_mask,
        )
        return carry, carry[1] if self.memory_is_pair else carry

    @classmethod
    def project_inputs(cls, ops: Operations, p: Parameters, inputs: Any) -> Any:
        """`project`, in the operations of any array library.

        Args:
          ops: of the library.
          p: the parameters, by name.
          inputs: (..., D).
        """
        projected = ops.matmul(inputs, p["input_kernel"])
        return projected + ops.like(p["bias"], projected)

    @classmethod
    def next_memory(
        cls, ops: Operations, p: Parameters, memory: Any, projected: Any, refine: bool, mask: Any
    ) -> Any:
        """The memory after a step, in the operations of any array library.

        Args:
          ops, p: see `project_inputs`.
          memory: (c, h) or h, see `memory_is_pair`, each (B, H).
          projected: (B, G*H).
          refine: `CellOptions.refine_gates`.
          mask: (B, H), see `step`; None for none.
        """
        raise NotImplementedError

    @property
    def _operations(self) -> JaxOperations:
        return JaxOperations(self.dtype)

    @property
    def _parameters(self) -> Mapping[str, Any]:
        return self.variables["params"]
