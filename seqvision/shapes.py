"""Axis letters and array types. Tests check them at run time; ordinary runs do not pay for them.

    N  examples of a split
    B  batch                    T  time (sequence steps)
    D  features per time step   H  hidden size
    K  classes                  S  training steps inside one compiled call
    L  symbols of a text

Images are `height width channels`, clips `T height width channels`. Arrays are batch first.
"""

import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Float32, Int, Int32, Key, UInt8

# In memory of the host.
HostImages = UInt8[np.ndarray, "N height width channels"]
HostClips = UInt8[np.ndarray, "N T height width channels"]
# Features of clips lie where their frames would: as T frames of 1 x 1 pixel of D channels.
HostFeatures = Float32[np.ndarray, "N T 1 1 D"]
HostInputs = HostImages | HostClips | HostFeatures
HostLabels = Int32[np.ndarray, "N ..."] | Float32[np.ndarray, "N"]
HostLengths = Int32[np.ndarray, "N"]
HostMask = Bool[np.ndarray, "N"]
Indices = Int32[np.ndarray, "N"]

# On the devices.
ByteImages = UInt8[Array, "B height width channels"]
ByteClips = UInt8[Array, "B T height width channels"]
ByteInputs = ByteImages | ByteClips | Float32[Array, "B T 1 1 D"]
Images = Float[Array, "B height width channels"]
Clips = Float[Array, "B T height width channels"]
Inputs = Images | Clips
FeatureMaps = Float[Array, "B map_height map_width map_channels"]
Features = Float[Array, "B D"]
Sequence = Float[Array, "B T D"]
Lengths = Int32[Array, "B"]
Hidden = Float[Array, "B H"]
HiddenSequence = Float[Array, "B T H"]
Logits = Float[Array, "B K"]
StepLogits = Float[Array, "B T K"]
Labels = Int32[Array, "B"]
StepLabels = Int32[Array, "B T"]
ManyLabels = Int32[Array, "B K"]
Numbers = Float32[Array, "B"]
Texts = Int32[Array, "B L"]
Mask = Bool[Array, "B"]
StepMask = Bool[Array, "B T"]
PerExample = Float32[Array, "B"]
BatchIndices = Int32[Array, "B"]
IndexTable = Int32[Array, "S B"]
Count = Int[Array, ""]
PRNGKey = Key[Array, ""]
ExampleKeys = Key[Array, "B"]
