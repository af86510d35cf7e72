"""The data that a run was trained on, loaded again."""

from seqvision.config.data_schema import DECODING_FIELDS, TRACKING_TASKS
from seqvision.config.schema import Settings
from seqvision.data.dataset import Dataset
from seqvision.data.from_config import load_dataset
from seqvision.errors import UserError
from seqvision.runs.compatibility import differences
from seqvision.runs.files import ENVIRONMENT
from seqvision.runs.saved_run import Run, with_own_backbone
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
    "value_range",
    "paper",
    "group_pattern",
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
    settings = with_own_backbone(settings, run.workdir)
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
    free = ["model.execution", "model.backbone_weights", *(f"reading.{name}" for name in fields)]
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


def check_comparable(other: Run, run: Run, dataset: Dataset) -> None:
    """Refuses a run to compare to that does not read the examples of this one.

    Args:
      other: the run to compare to.
      run: this one.
      dataset: the examples of this one.
    """
    if other.settings.reads_text != run.settings.reads_text:
        kinds = "text", "no text"
        read, reads = kinds if other.settings.reads_text else kinds[::-1]
        raise UserError(
            f"--reference: {other.workdir} reads {read}, and {run.workdir} {reads}; choose a run on"
            " the same data"
        )
    fields = tuple(f"data.{field}" for field in _EXAMPLE_FIELDS if "window" not in field)
    fields += ("seed",) * (run.settings.data.source == "moving_digits")
    differing = [
        f"{key} {text}"
        for key, text in differences(other.settings, run.settings).items()
        if key.startswith("clips.") or key in fields
    ]
    if differing:
        raise UserError(
            f"--reference: {other.workdir} was trained on other examples: {'; '.join(differing)};"
            " choose a run on the same data"
        )
    heights = other.data.input_shape[-3], dataset.input_shape[-3]
    if not other.data.describes(dataset) or heights[0] != heights[1]:
        raise UserError(
            f"--reference: {other.workdir} was trained on other data: fingerprint, classes or"
            f" height of {dataset.name} are not those in its {ENVIRONMENT}; choose a run on the"
            f" same data{other.data.hint(dataset)}"
        )
