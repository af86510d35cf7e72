"""Trains, evaluates, predicts, reads live, explains or sweeps what a config says. See README.md."""

import os
import signal
import sys
from pathlib import Path

if __name__ == "__main__":
    # An import that Ctrl-C interrupts may end in a traceback, or swallow it; nothing is lost yet.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

from absl import flags

from seqvision import command_line
from seqvision.compiled import keep_compiled
from seqvision.devices import prepare_host
from seqvision.errors import UserError
from seqvision.interruption import stop_with_input

MODES = ("train", "evaluate", "predict", "read", "explain", "sweep")

_CONFIG = command_line.define_config(
    "config", "What to run: a file in configs/, NAME.py[:VARIANT]."
)
_MODE = flags.DEFINE_enum("mode", "train", MODES, "What to do.")
_WORKDIR = flags.DEFINE_string("workdir", "", "The run's folder; runs/CONFIG_NAME by default.")
_SPLIT = flags.DEFINE_string("split", "test", "evaluate: train, validation or test.")
_INPUTS = flags.DEFINE_string(
    "inputs", "", "predict, read: a glob pattern of images; predict: also of clips or .npz files."
)
_OUTPUT = flags.DEFINE_string(
    "output", "", "predict (printed by default), evaluate: a .csv or .jsonl file."
)
_INVERT = flags.DEFINE_string(
    "invert", "auto", "predict, read: auto, always or never swap dark and light."
)
_HOST_DEVICES = flags.DEFINE_integer(
    "host_devices",
    0,
    "Devices that the CPU is for JAX (0: one per core that can share, 1: one of many threads).",
    lower_bound=0,
    upper_bound=1024,
)
_PROFILE = flags.DEFINE_string(
    "profile", "", "train: a folder for a trace of some steps and a summary of where time goes."
)
_MEASURE_PEAK = flags.DEFINE_bool(
    "measure_peak", False, "train: measure the machine's peak first; the share goes on record."
)
_SWEEP_WORKERS = flags.DEFINE_integer(
    "sweep_workers", 1, "sweep: how many runs at once.", lower_bound=1, upper_bound=1024
)
_SWEEP_SHARD = flags.DEFINE_string(
    "sweep_shard", "", "sweep: i/n takes share i of n of the runs, i from 0 to n-1."
)
_STOP_WITH_INPUT = flags.DEFINE_bool(
    "stop_with_input", False, "train: save and stop when standard input ends, as runs of a sweep."
)


def main(argv: list[str]) -> int:
    command_line.parse(argv)
    config = _CONFIG.value
    _check_flags()
    if _MODE.value == "sweep":
        return _sweep()
    # The other modes fill up their last batch.
    shares_batch = _MODE.value in ("train", "explain")
    prepare_host(_HOST_DEVICES.value, config.data.batch_size if shares_batch else 0)
    keep_compiled()
    workdir = Path(_WORKDIR.value or command_line.default_workdir(_CONFIG)).expanduser()
    # Imported late, so that a bad command line ends before jax is loaded.
    if _MODE.value == "evaluate":
        from seqvision.evaluate import evaluate_run

        _listen()
        evaluate_run(config, workdir, _SPLIT.value, _OUTPUT.value)
        return 0
    if _MODE.value == "predict":
        from seqvision.predict import predict_files

        _listen()
        return min(1, predict_files(workdir, _INPUTS.value, _OUTPUT.value, _INVERT.value))
    if _MODE.value == "read":
        from seqvision.read import read_files

        _listen()
        return min(1, read_files(workdir, _INPUTS.value, _INVERT.value))
    if _MODE.value == "explain":
        from seqvision.explain import explain

        _listen()
        explain(config)
        return 0
    from seqvision.train import train_and_evaluate

    _listen()
    if _STOP_WITH_INPUT.value:
        stop_with_input()
    result = train_and_evaluate(config, workdir, _PROFILE.value, _MEASURE_PEAK.value)
    if result.signal is not None:
        return 128 + result.signal
    return 0 if result.status == "done" else 1


def _check_flags() -> None:
    """No flag of another mode is forgotten in silence."""
    for flag in (_PROFILE, _MEASURE_PEAK, _STOP_WITH_INPUT):
        if flag.value and _MODE.value != "train":
            raise UserError(
                f"--{flag.name}: it is about training steps, and --mode={_MODE.value} takes none;"
                " leave it out or choose --mode=train"
            )
    for name, is_given in {
        _SWEEP_WORKERS.name: _SWEEP_WORKERS.present,
        _SWEEP_SHARD.name: _SWEEP_SHARD.present,
    }.items():
        if is_given and _MODE.value != "sweep":
            raise UserError(
                f"--{name}: it has no effect with --mode={_MODE.value}; leave it out or choose"
                " --mode=sweep"
            )


def _sweep() -> int:
    from seqvision.config import validate
    from seqvision.sweep_plan import plan_sweep, read_sweep, share_of

    path, overrides = command_line.config_path(_CONFIG), command_line.config_overrides(_CONFIG)
    plan = plan_sweep(validate(_CONFIG.value), read_sweep(path), overrides)
    share = share_of(plan.runs, _SWEEP_SHARD.value)
    workdir = _WORKDIR.value or f"{command_line.default_workdir(_CONFIG)}_sweep"
    from seqvision.sweep import launcher, run_sweep

    _listen()
    folder, num_workers = Path(workdir).expanduser(), _SWEEP_WORKERS.value
    program = [sys.executable, __file__, f"--host_devices={_HOST_DEVICES.value}"]
    launch = launcher(program, path, overrides, folder, num_workers)
    return run_sweep(plan, share, folder, launch, num_workers)


def _listen() -> None:
    """From here on Ctrl-C lets what was begun be finished or saved."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except Exception as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        reason = str(error).splitlines()[0]
        print(
            "error: out of memory; lower config.data.batch_size, config.data.eval_batch_size or the"
            f" size of the network ({reason})",
            file=sys.stderr,
        )
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read the output left, such as `head`. Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
