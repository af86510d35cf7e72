"""Axis letters and array types. Tests check them at run time; ordinary runs do not pay for them.

    N  examples of a split
    B  batch                    T  time (sequence steps)
    D  features per time step   H  hidden size
    K  classes                  S  training steps inside one compiled call

Images are `height width channels`. Arrays are batch first, (B, T, D), outside the recurrent layer.
"""

import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Float32, Int, Int32, Key, UInt8

# In memory of the host.
HostImages = UInt8[np.ndarray, "B height width channels"]
HostLabels = Int32[np.ndarray, "B"]
Indices = Int32[np.ndarray, "N"]

# On the devices.
ResidentImages = UInt8[Array, "N height width channels"]
ResidentLabels = Int32[Array, "N"]
ByteImages = UInt8[Array, "B height width channels"]
Images = Float[Array, "B height width channels"]
Sequence = Float[Array, "B T D"]
Hidden = Float[Array, "B H"]
HiddenSequence = Float[Array, "B T H"]
Logits = Float[Array, "B K"]
Labels = Int32[Array, "B"]
Mask = Bool[Array, "B"]
PerExample = Float32[Array, "B"]
IndexTable = Int32[Array, "S B"]
Count = Int[Array, ""]
PRNGKey = Key[Array, ""]
