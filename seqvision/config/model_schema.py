"""The config fields of the network, `model`, and the names that they choose from.

The names are declared here too, so that a config is checked without jax; a test compares them with
those in `seqvision.models`.
"""

import dataclasses

from seqvision.config.bounds import (
    BELOW_ONE,
    FINITE,
    LARGEST_SIDE,
    SIZE,
    SIZES,
    OneOf,
    Range,
    declare,
)

SEQUENCES = (
    "rows",
    "columns",
    "pixels",
    "permuted_pixels",
    "patches",
    "cnn",
    "cnn_rows",
    "frames",
    "features",
    "cnn_columns",
)
# Sequences that networks which read text may use.
LINE_SEQUENCES = ("columns", "cnn_columns")
# Sequences whose CNN reads images, or frames, one by one.
IMAGE_CNN_SEQUENCES = ("cnn", "cnn_rows", "frames")
CNN_SEQUENCES = (*IMAGE_CNN_SEQUENCES, "cnn_columns")
BACKBONES = (
    "none",
    "efficientnet_lite0",
    "tf_efficientnet_lite0",
    "resnet18",
    "resnet50",
    "mobilenet_v3_small",
)
TRAINABLE = ("none", "last_stage", "last_two_stages", "all")
CELLS = (
    "lstm",
    "gru",
    "gru_reset_before",
    "layer_norm_lstm",
    "janet",
    "min_lstm",
    "min_gru",
)
# Cells that can do more than a cell must, and those that lack what others have.
REFINABLE_CELLS = ("lstm", "gru")
FUSED_CELLS = ("lstm", "gru")
CELLS_WITHOUT_RECURRENT_KERNEL = ("min_lstm", "min_gru")
PERSISTENT_HIDDEN_SIZE = 128
EXECUTIONS = ("auto", "scan", "fused", "native", "cudnn", "persistent")
READOUTS = ("last", "mean", "max", "attention", "per_step")


@dataclasses.dataclass(frozen=True)
class Model:
    """`config.model`: the network.

    Attributes:
      sequence: One time step: rows, columns, pixels, permuted_pixels (one fixed order), patches,
        cnn (all CNN features at once), cnn_rows (rows of the CNN's feature map), frames (CNN
        features of each frame of a clip) or features (those that data.source=features reads). Lines
        of writing: columns, or cnn_columns (a CNN that sees no column to come).
      patch_size: patches: height and width of a patch in pixels.
      cnn_channels: cnn, cnn_rows, frames: for each channel count a 3x3 convolution, ReLU and a 2x2
        max-pool; cnn_columns: with a max-pool over two rows.
      cnn_padding: cnn, cnn_rows, frames: convolve in a border of 0 (same), or in none and leave out
        what the max-pool has left over (valid: 28 -> 26 -> 13 -> 11 -> 5).
      cnn_per_frame: frames: a CNN of its own for each frame position; for clips of one length.
      backbone: frames: in place of the CNN a pretrained network, none, efficientnet_lite0,
        tf_efficientnet_lite0 (as TensorFlow pads), resnet18, resnet50 or mobilenet_v3_small.
      backbone_weights: A file of its weights: a .safetensors or .pth of torchvision or timm.
      backbone_trainable: Which of its stages learn: none (the features of every frame are computed
        once and kept), last_stage, last_two_stages or all. Batch statistics stay as they are.
      cell: lstm, gru, gru_reset_before, layer_norm_lstm, janet, min_lstm or min_gru. The second GRU
        resets the hidden state before its product, as TensorFlow's GRUCell.
      hidden_size: Units of each recurrent layer, in each direction.
      num_layers: Recurrent layers on top of each other.
      bidirectional: Read in both directions.
      readout: Input of the classifier: last (final hidden state), mean, max, attention (over all
        steps) or per_step (a prediction after every step).
      dropout, recurrent_dropout, readout_dropout: Dropout rates: between recurrent layers; on the
        cells' candidate states, one mask for a whole sequence; before the classifier.
      forget_bias: With gate_init of constant: initial bias of the gate that keeps memory.
      gate_init: Initial bias of the gate that keeps memory: constant (forget_bias), chrono (for
        memories as long as the sequence) or uniform (for memories of all lengths).
      refine_gates: lstm, gru: a second gate refines the one that keeps memory (with uniform:
        UR-LSTM, UR-GRU).
      recurrent_init: Recurrent kernels start orthogonal or as the identity.
      compute_dtype: Precision of the matrix products: float32 or bfloat16. Weights, carry and loss
        stay float32.
      execution: Implementation of the recurrent layers: scan (any cell), fused (lstm and gru,
        gradients written out by hand), native (lstm in C++ that is compiled once, on CPUs), cudnn
        or persistent (lstm on an NVIDIA GPU) or auto (the one that was measured to be fastest, else
        scan). It changes speed, not results.
    """

    sequence: str = declare("rows", OneOf(SEQUENCES))
    patch_size: int = declare(4, Range(1, LARGEST_SIDE))
    cnn_channels: tuple = declare((32, 64), SIZES)
    cnn_padding: str = declare("same", OneOf(("same", "valid")))
    cnn_per_frame: bool = declare(False)
    backbone: str = declare("none", OneOf(BACKBONES))
    backbone_weights: str = declare("")
    backbone_trainable: str = declare("none", OneOf(TRAINABLE))
    cell: str = declare("lstm", OneOf(CELLS))
    hidden_size: int = declare(128, SIZE)
    num_layers: int = declare(1, Range(1, 1000))
    bidirectional: bool = declare(False)
    readout: str = declare("last", OneOf(READOUTS))
    dropout: float = declare(0.0, BELOW_ONE)
    recurrent_dropout: float = declare(0.0, BELOW_ONE)
    readout_dropout: float = declare(0.0, BELOW_ONE)
    forget_bias: float = declare(1.0, FINITE)
    gate_init: str = declare("constant", OneOf(("constant", "chrono", "uniform")))
    refine_gates: bool = declare(False)
    recurrent_init: str = declare("orthogonal", OneOf(("orthogonal", "identity")))
    compute_dtype: str = declare("float32", OneOf(("float32", "bfloat16")))
    execution: str = declare("auto", OneOf(EXECUTIONS))

    @property
    def computes_features_once(self) -> bool:
        """Whether the network learns from features of a frozen backbone, computed beforehand."""
        return self.backbone != "none" and self.backbone_trainable == "none"
