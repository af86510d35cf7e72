"""The flags of the command line."""

import re
import sys
from collections.abc import Collection, Mapping

from absl import flags
from ml_collections import config_flags

from seqvision.errors import UserError, did_you_mean


def one_line(error: BaseException) -> str:
    """The last line of a message: config_flags puts a whole traceback before it."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = lines[-1] if lines else type(error).__name__
    return re.sub(r"^(ValueError|FATAL Flags parsing error): ", "", last)


try:
    config_flags.DEFINE_config_file(
        "config", None, "A config file, or the name of a shipped config: NAME[:VARIANT]."
    )
except flags.Error as error:  # It reads the command line already here: --flagfile.
    print(f"error: {one_line(error)}", file=sys.stderr)
    raise SystemExit(2) from None
flags.DEFINE_string("mode", "train", "What to do.")
flags.DEFINE_string("workdir", "", "The run's folder; runs/CONFIG_NAME by default.")
flags.DEFINE_string("split", "test", "evaluate, export, report: train, validation or test.")
flags.DEFINE_string(
    "inputs",
    "",
    "predict, read: a glob pattern of images; predict: also of clips or .npz files. features:"
    " clips (by default the data set of the config). import: the weights. report: a pattern of"
    " runs' folders, which are put side by side.",
)
flags.DEFINE_string(
    "output",
    "",
    "predict (printed by default), evaluate: a .csv or .jsonl file; export, features: a folder;"
    " report: an .html file (report.html in the workdir by default).",
)
flags.DEFINE_string(
    "check",
    "true",
    "export: run each file on --split, and refuse one that is not equal (false: do not). import: an"
    " .npz file of inputs and the probabilities that the source gave.",
)
flags.DEFINE_multi_string(
    "map",
    [],
    "import: THEIRS:OURS, names of an array or layer in the file and here, where it is not"
    " recognised; several with commas, or repeat the flag.",
)
flags.DEFINE_string(
    "format",
    "onnx",
    "export: onnx, page (the folder is also a page for browsers), or the weights of a classifier:"
    " torch, keras, or safetensors (our own names).",
)
flags.DEFINE_string(
    "onnxruntime_web", "", "export: for a page: the folder of the npm package onnxruntime-web."
)
flags.DEFINE_bool("int8", True, "export: write files with weights of 8 bits too.")
flags.DEFINE_bool(
    "csv_guard",
    True,
    "predict, evaluate: an apostrophe before text of a .csv that begins with = + - or @, which a"
    " spreadsheet would compute.",
)
flags.DEFINE_string("invert", "auto", "predict, read: auto, always or never swap dark and light.")
flags.DEFINE_string(
    "decide",
    "",
    "evaluate: probability or margin: shows accuracy against how much was seen. read: when to"
    " decide on a class, such as probability:0.95 (by default at the end).",
)
flags.DEFINE_string(
    "corrupt",
    "",
    "evaluate: all, or some of drop,repeat,swap,delay,gain_drift,noise,shift,occlusion: shows the"
    " errors on examples that are corrupted so.",
)
flags.DEFINE_string(
    "reference", "", "evaluate, with --corrupt: the workdir of a run to compare the errors to."
)
flags.DEFINE_bool(
    "calibrate",
    False,
    "evaluate: fit a temperature on the validation split, and keep it with the run.",
)
flags.DEFINE_bool(
    "calibrated", False, "predict: at the temperature that --mode=evaluate --calibrate fitted."
)
flags.DEFINE_integer(
    "bootstrap",
    0,
    "evaluate: so many samples for confidence intervals, such as 1000 (0: none).",
    lower_bound=0,
    upper_bound=1_000_000,
)
flags.DEFINE_float(
    "specificity", 0.9, "evaluate: the specificity at which the sensitivity of a class is given."
)
flags.DEFINE_bool(
    "to_scale",
    True,
    "predict, read: bring lines of writing to the height, place, thickness and tilt of the training"
    " lines.",
)
flags.DEFINE_integer(
    "host_devices",
    0,
    "JAX devices on the CPU (0: one per core where the batch splits evenly, 1: one of many"
    " threads).",
    lower_bound=0,
    upper_bound=1024,
)
flags.DEFINE_integer(
    "seed",
    None,
    "evaluate, predict, read, export, serve, report: one of the seeds that a run trained at once"
    " (evaluate: all, others: the first, by default).",
)
flags.DEFINE_string(
    "host", "127.0.0.1", "serve: the name or address to serve; by default this machine alone."
)
flags.DEFINE_integer(
    "port", 0, "serve: the port; 0 for a free one.", lower_bound=0, upper_bound=65535
)
flags.DEFINE_bool(
    "report",
    True,
    "train, sweep: write a page to look at, report.html in the workdir.",
)
flags.DEFINE_string(
    "profile", "", "train: a folder for a trace of some steps and a summary of where time goes."
)
flags.DEFINE_bool(
    "measure_peak",
    False,
    "train: measure the machine's peak first; the fraction reached is recorded.",
)
flags.DEFINE_string(
    "coordinator_address", "", "Of many processes: host:port on which process 0 waits for them."
)
flags.DEFINE_integer(
    "num_processes", None, "How many processes train together; 1: this alone.", lower_bound=1
)
flags.DEFINE_integer("process_id", None, "Which of them this is, from 0.", lower_bound=0)
flags.DEFINE_integer(
    "sweep_workers", 1, "sweep, table: how many runs at once.", lower_bound=1, upper_bound=1024
)
flags.DEFINE_string(
    "sweep_shard", "", "sweep: i/n takes shard i of n of the runs, i from 0 to n-1."
)
flags.DEFINE_string("rows", "", "table: the rows to run, separated by commas (all by default).")
flags.DEFINE_float(
    "run_minutes",
    30.0,
    "table: a run that would take longer here is stopped; its row says how long it would take.",
    lower_bound=0.0,
)
flags.DEFINE_bool(
    "stop_with_input", False, "train: save and stop when standard input ends, as runs of a sweep."
)


def check_flags(modes: Mapping[str, Collection[str]]) -> None:
    """Refuses an unknown mode, and flags that have no effect in this one.

    Args:
      modes: the flags of each mode, beside `--config` and `--mode`.

    Raises:
      UserError: one line that names the flag and the modes that take it.
    """
    mode = flags.FLAGS.mode
    if mode not in modes:
        raise UserError(
            f"--mode: '{mode}' is not known; choose one of {', '.join(modes)}"
            f"{did_you_mean(mode, modes)}"
        )
    for flag in own_flags():
        if flag.present and flag.name not in ("config", "mode", *modes[mode]):
            taking = [name for name, names in modes.items() if flag.name in names]
            raise UserError(
                f"--{flag.name}: it has no effect with --mode={mode}; leave it out or choose"
                f" --mode={' or '.join(taking)}{_INSTEAD.get((flag.name, mode), '')}"
            )
    if mode == "export":
        _check_flags_of_export()
    if mode == "import" and flags.FLAGS["check"].present and flags.FLAGS.check in ("true", "false"):
        raise UserError(
            "--check: with --mode=import name an .npz file of inputs and probabilities, or leave it"
            " out"
        )


def _check_flags_of_export() -> None:
    form = flags.FLAGS.format
    for name in ("split", "check", "int8"):
        if form in WEIGHT_FORMATS and flags.FLAGS[name].present:
            raise UserError(f"--{name}: it has no effect with --format={form}; leave it out")
    if flags.FLAGS["split"].present and flags.FLAGS.check == "false":
        raise UserError("--split: it has no effect with --check=false; leave one of the two out")


WEIGHT_FORMATS = ("torch", "keras", "safetensors")
"""Of `--format`: files that no check runs."""
_INSTEAD = {
    ("seed", "train"): " (the seed of a training is --config.seed)",
    ("num_processes", "sweep"): " (each run trains in one process; --sweep_shard splits a sweep)",
}


def own_flags() -> list[flags.Flag]:
    """The flags that are defined here, in their order; not those of absl or of config fields."""
    return flags.FLAGS.flags_by_module_dict()[__name__]
