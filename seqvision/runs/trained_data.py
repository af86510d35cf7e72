"""The data that a run was trained on, loaded again."""

from seqvision.config.data_schema import DECODING_FIELDS, TRACKING_TASKS
from seqvision.config.schema import Settings
from seqvision.data.dataset import Dataset
from seqvision.data.from_config import load_dataset
from seqvision.errors import UserError
from seqvision.runs.compatibility import differences
from seqvision.runs.files import ENVIRONMENT
from seqvision.runs.saved_run import Run
from seqvision.runtime.console import on_terminal, say

# Fields of `config.data` that decide what the examples are, but not where they lie.
_EXAMPLE_FIELDS = (
    "source",
    "name",
    "kind",
    "target",
    "height",
    "width",
    "channels",
    "validation_examples",
    "validation_fraction",
    "test_fraction",
    "window",
    "window_stride",
)
# Fields of `config.clips` that a run of the tasks `shell` and `parity` may be evaluated with.
_LOOKS = (
    *("swaps", "train_swaps", "train_min_swaps", "frames_per_swap", "num_frames", "min_frames"),
    *("digit_size", "speed", "noise", "occlusion", "train_clips", "validation_clips", "test_clips"),
)


def load_trained_on(run: Run, settings: Settings) -> Dataset:
    """The data that the config names.

    Raises:
      UserError: they are not those that the run was trained on.
    """
    dataset = load_dataset(settings, say, on_terminal())
    if not run.data.describes(dataset):
        raise UserError(
            f"{run.workdir}: trained on other data: fingerprint or classes of {dataset.name} are"
            f" not those in {ENVIRONMENT}; name the data it was trained on with"
            f" --config.data.dir or --config.data.path{run.data.hint(dataset)}"
        )
    return dataset


def check_trained_with(run: Run, settings: Settings) -> None:
    """Refuses a config of another network, or of other examples, than the run's."""
    fixed = {f"data.{field}" for field in _EXAMPLE_FIELDS}
    if settings.data.source == "moving_digits":
        fixed.add("seed")
    # The direction, where it matters, changes the fingerprint of the data.
    fields = (*DECODING_FIELDS, "direction")
    free = ["model.execution", *(f"reading.{name}" for name in fields)]
    if settings.clips.task in TRACKING_TASKS:
        free += [f"clips.{name}" for name in _LOOKS]
    differing = [
        f"{key} {text}"
        for key, text in differences(run.settings, settings).items()
        if (key.startswith(("model.", "clips.", "reading.")) or key in fixed) and key not in free
    ]
    if differing:
        raise UserError(
            f"{run.workdir}: trained with another config: {'; '.join(differing)}; name its config"
            " with --config, or another run with --workdir"
        )
