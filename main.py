"""Trains, evaluates, predicts, reads live, explains or sweeps what a config says. See README.md."""

import os
import signal
import sys
import traceback
from pathlib import Path
from typing import NoReturn

if __name__ == "__main__":
    # An import that Ctrl-C interrupts may end in a traceback, or swallow it; nothing is lost yet.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

from absl import flags

from seqvision.config import command_line
from seqvision.errors import UserError
from seqvision.runtime.cluster import find_cluster
from seqvision.runtime.compilation_cache import enable_compilation_cache
from seqvision.runtime.cpu_devices import prepare_host
from seqvision.runtime.interruption import stop_with_input

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
_SEED = flags.DEFINE_integer(
    "seed",
    None,
    "evaluate, predict, read: one of the seeds that a run trained at once (evaluate: all, others:"
    " the first, by default).",
)
_PROFILE = flags.DEFINE_string(
    "profile", "", "train: a folder for a trace of some steps and a summary of where time goes."
)
_MEASURE_PEAK = flags.DEFINE_bool(
    "measure_peak", False, "train: measure the machine's peak first; the share goes on record."
)
_COORDINATOR_ADDRESS = flags.DEFINE_string(
    "coordinator_address", "", "Of many processes: host:port on which process 0 waits for them."
)
_NUM_PROCESSES = flags.DEFINE_integer(
    "num_processes", None, "How many processes train together; 1: this alone.", lower_bound=1
)
_PROCESS_ID = flags.DEFINE_integer(
    "process_id", None, "Which of them this is, from 0.", lower_bound=0
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
    enable_compilation_cache()
    if _MODE.value == "sweep":
        return _sweep()
    # The other modes fill up their last batch.
    shares_batch = _MODE.value in ("train", "explain")
    cluster = find_cluster(_COORDINATOR_ADDRESS.value, _NUM_PROCESSES.value, _PROCESS_ID.value)
    num_processes = cluster.num_processes if cluster else 1
    num_shared = config.data.batch_size * config.num_seeds // num_processes if shares_batch else 0
    prepare_host(_HOST_DEVICES.value, num_shared)
    workdir = Path(_WORKDIR.value or command_line.default_workdir(_CONFIG)).expanduser()
    if cluster and (_MODE.value not in ("train", "evaluate") or _PROFILE.value):
        wish = "--profile" if _PROFILE.value else f"--mode={_MODE.value}"
        raise UserError(
            f"{wish}: it takes one process, and this is one of {num_processes}; start it alone,"
            " with --num_processes=1"
        )
    # Imported late, so that a bad command line ends before jax is loaded.
    if cluster:
        from seqvision.runtime import processes

        processes.join(cluster)
    if _MODE.value == "evaluate":
        from seqvision.evaluate import evaluate_run

        _listen()
        evaluate_run(config, workdir, _SPLIT.value, _OUTPUT.value, _SEED.value)
        return 0
    if _MODE.value == "predict":
        from seqvision.predict import predict_files

        _listen()
        failed = predict_files(workdir, _INPUTS.value, _OUTPUT.value, _INVERT.value, _SEED.value)
        return min(1, failed)
    if _MODE.value == "read":
        from seqvision.read import read_files

        _listen()
        return min(1, read_files(workdir, _INPUTS.value, _INVERT.value, _SEED.value))
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
    """Refuses flags that would have no effect, or another one than the user expects."""
    mode = _MODE.value
    for flag in (_PROFILE, _MEASURE_PEAK, _STOP_WITH_INPUT):
        if flag.value and mode != "train":
            raise UserError(
                f"--{flag.name}: it is about training steps, and --mode={mode} takes none; leave it"
                " out or choose --mode=train"
            )
    if _SEED.present and mode not in ("evaluate", "predict", "read"):
        raise UserError(
            f"--seed: it names a seed of a trained run, and --mode={mode} has none; set"
            " --config.seed, or leave it out"
        )
    for name in ("coordinator_address", "num_processes", "process_id"):
        if flags.FLAGS[name].present and mode == "sweep":
            raise UserError(
                f"--{name}: each run of a sweep trains in one process; leave it out, and let"
                " --sweep_shard share out the runs"
            )
    for name in ("sweep_workers", "sweep_shard"):
        if flags.FLAGS[name].present and mode != "sweep":
            raise UserError(
                f"--{name}: it has no effect with --mode={mode}; leave it out or choose"
                " --mode=sweep"
            )


def _sweep() -> int:
    from seqvision.config.validation import validate
    from seqvision.sweeps.plan import plan_sweep, read_sweep, shard_of

    path, overrides = command_line.config_path(_CONFIG), command_line.config_overrides(_CONFIG)
    plan = plan_sweep(validate(_CONFIG.value), read_sweep(path), overrides)
    share = shard_of(plan.runs, _SWEEP_SHARD.value)
    workdir = _WORKDIR.value or f"{command_line.default_workdir(_CONFIG)}_sweep"
    from seqvision.sweeps.scheduler import launcher, run_sweep

    _listen()
    folder, num_workers = Path(workdir).expanduser(), _SWEEP_WORKERS.value
    # Each run trains alone, even if a cluster's launcher started the sweep.
    alone = (f"--host_devices={_HOST_DEVICES.value}", "--num_processes=1")
    program = [sys.executable, __file__, *alone]
    launch = launcher(program, path, overrides, folder, num_workers)
    return run_sweep(plan, share, folder, launch, num_workers)


def _listen() -> None:
    """From here on Ctrl-C lets what was begun be finished or saved."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(code: int) -> NoReturn:
    """Ends after an error, which the other processes may know nothing of."""
    if "jax" in sys.modules:
        from seqvision.runtime import processes

        processes.end(code)
    sys.exit(code)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        _end(error.exit_code)
    except BrokenPipeError:
        # Whoever read the output left, such as `head`. Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _end(141)
    except Exception as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            traceback.print_exc()
            _end(1)
        reason = str(error).splitlines()[0]
        print(
            "error: out of memory; lower config.data.batch_size, config.data.eval_batch_size or the"
            f" size of the network ({reason})",
            file=sys.stderr,
        )
        _end(2)
    except KeyboardInterrupt:
        _end(130)
