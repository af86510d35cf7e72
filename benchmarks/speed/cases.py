"""Cases: one network, its sizes, and whether it trains or only computes logits."""

import dataclasses

NUM_CLASSES = 10
LEARNING_RATE = 1e-3
# A few, so that nothing is a constant of the program.
NUM_BATCHES = 4
DTYPES = ("float32", "bfloat16")
MODES = ("training", "forward")


@dataclasses.dataclass(frozen=True)
class Case:
    """One row of a table.

    Attributes:
      network: `lstm` and `gru` read (B, T, D); `cnn_lstm` reads images as one step of CNN
        features; `frame_lstm` reads clips, with a CNN on every frame.
      mode: `training` (forward, backward, Adam) or `forward` (logits only).
      batch_size: B.
      num_steps: T.
      num_features: D, numbers a step of `lstm` and `gru`; pixels on each side of an image of the
        others.
      hidden_size: H.
      dtype: of the matrix products; weights are float32.
    """

    network: str
    mode: str
    batch_size: int
    num_steps: int
    num_features: int
    hidden_size: int
    dtype: str

    @property
    def name(self) -> str:
        sizes = f"H={self.hidden_size} B={self.batch_size} T={self.num_steps} D={self.num_features}"
        return f"{self.network} {self.mode} {sizes} {self.dtype}"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one example, as seqvision reads it: an image or a clip."""
        side = self.num_features
        match self.network:
            case "lstm" | "gru":
                return (self.num_steps, self.num_features, 1)
            case "cnn_lstm":
                return (side, side, 1)
            case "frame_lstm":
                return (self.num_steps, side, side, 1)
        raise ValueError(f"network '{self.network}' is not known")


def _lstm(mode: str, dtype: str, hidden: int, batch: int, steps: int = 28, width: int = 28) -> Case:
    return Case("lstm", mode, batch, steps, width, hidden, dtype)


def case_set(name: str, dtype: str) -> list[Case]:
    """The cases of `table`, `scaling`, `networks` or `executions`."""
    match name:
        case "table":
            return [
                case
                for mode in MODES
                for case in (
                    *(_lstm(mode, dtype, h, b) for b in (128, 1024) for h in (64, 128, 256, 512)),
                    _lstm(mode, dtype, 128, 128, steps=784, width=1),
                )
            ]
        case "scaling":
            longer = [_lstm("training", dtype, 128, 128, t) for t in (28, 112, 196, 392, 784)]
            wider = [_lstm("training", dtype, 128, b) for b in (256, 512, 1024, 2048)]
            return longer + wider
        case "networks":
            # The sizes of configs/cnn_lstm.py and configs/frame_lstm.py; a test compares them.
            return [
                Case("cnn_lstm", "training", 256, 1, 28, 128, dtype),
                Case("frame_lstm", "training", 64, 8, 28, 128, dtype),
            ]
        case "executions":
            # What seqvision/models/execution/measured_times.py holds.
            return [
                Case(cell, "training", 128, 28, 28, hidden_size, dtype)
                for cell in ("lstm", "gru")
                for hidden_size in (32, 64, 128, 256, 512)
            ]
    raise ValueError(f"case set '{name}' is not known")


CASE_SETS = ("table", "scaling", "networks", "executions")
