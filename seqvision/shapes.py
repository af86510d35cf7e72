"""Axis letters and array types. Tests check them at run time; ordinary runs do not pay for them.

    B  batch                    T  time (sequence steps)
    D  features per time step   H  hidden size
    K  classes                  S  training steps inside one compiled call

Images are `height width channels`. Arrays are batch first, (B, T, D), outside the recurrent layer.
"""

from typing import TypeAlias

import jax
import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int32, Key, UInt8

Array: TypeAlias = jax.Array | np.ndarray

ByteImages = UInt8[Array, "B height width channels"]
Images = Float[Array, "B height width channels"]
Sequence = Float[Array, "B T D"]
Hidden = Float[Array, "B H"]
HiddenSequence = Float[Array, "B T H"]
Logits = Float[Array, "B K"]
Labels = Int32[Array, "B"]
Targets = Float32[Array, "B K"]
Mask = Bool[Array, "B"]
PerExample = Float32[Array, "B"]
IndexTable = Int32[Array, "S B"]
Scalar = Float32[Array, ""]
Count = Int[Array, ""]
PRNGKey = Key[Array, ""]
