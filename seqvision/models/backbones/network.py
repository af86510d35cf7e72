"""The base of the pretrained networks: which of their stages learn."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from seqvision.shapes import FeatureMaps


class BackboneNetwork(nn.Module):
    """Images to feature maps, stage by stage.

    Attributes:
      dtype: precision of the convolutions.
      first_trained: gradients reach the stages from this one on; stage 0 is the stem.
    """

    dtype: jnp.dtype | None = None
    first_trained: int = 0

    def stage_of(self, layer: str) -> int:
        """The stage that a layer, by its name, belongs to."""
        raise NotImplementedError

    def boundary(self, maps: FeatureMaps, stage: int) -> FeatureMaps:
        """The maps before a stage: no gradient passes where those below it do not learn."""
        return jax.lax.stop_gradient(maps) if stage == self.first_trained else maps
