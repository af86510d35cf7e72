"""The command: `python main.py`, `python -m seqvision` and, where it is installed, `seqvision`."""

import contextlib
import gc
import importlib
import os
import signal
import sys
import traceback
from typing import NamedTuple, NoReturn

from seqvision.errors import UserError, explain_out_of_memory, is_out_of_memory
from seqvision.runtime.interruption import Ended, end_in_order, ending_signals

# Most is imported late, so that a bad command line ends before jax is loaded.


class Mode(NamedTuple):
    """The mode NAME is `seqvision.NAME.run(settings, **arguments)`, which returns the exit code.

    Attributes:
      arguments: the flags that `run` takes, by name.
      place: the other flags, which choose devices and processes.
      splits_batch: whether the devices share `config.data.batch_size` examples evenly.
      module: its name where NAME is a word of Python.
    """

    arguments: tuple[str, ...]
    place: tuple[str, ...]
    splits_batch: bool = False
    module: str = ""


_ALONE = ("host_devices", "num_processes")
_TOGETHER = (*_ALONE, "coordinator_address", "process_id")
MODES = {
    "train": Mode(
        ("workdir", "profile", "measure_peak", "stop_with_input", "report"), _TOGETHER, True
    ),
    "evaluate": Mode(
        (
            *("workdir", "split", "output", "csv_guard", "seed", "decide"),
            *("calibrate", "bootstrap", "specificity", "corrupt", "reference"),
        ),
        _TOGETHER,
    ),
    "predict": Mode(
        ("workdir", "inputs", "output", "csv_guard", "invert", "seed", "to_scale", "calibrated"),
        _ALONE,
    ),
    "read": Mode(("workdir", "inputs", "invert", "seed", "decide", "to_scale"), _ALONE),
    "export": Mode(
        ("workdir", "output", "split", "seed", "check", "int8", "format", "onnxruntime_web"),
        _ALONE,
    ),
    "import": Mode(("workdir", "inputs", "check", "map"), _ALONE, module="importing"),
    "serve": Mode(("workdir", "host", "port", "seed"), _ALONE),
    "report": Mode(("workdir", "inputs", "output", "split", "seed"), _ALONE),
    "features": Mode(("inputs", "output"), _ALONE),
    "explain": Mode((), _ALONE, True),
    "sweep": Mode(("workdir", "sweep_workers", "sweep_shard", "host_devices", "report"), ()),
    "table": Mode(("workdir", "rows", "run_minutes", "sweep_workers", "host_devices"), ()),
}
# Modes of many runs, and how their folders end.
_FOLDERS = {"sweep": "_sweep", "table": "_table"}


def main(argv: list[str]) -> int:
    """Runs the mode that a command line names; returns the exit code or raises `UserError`."""
    from absl.flags import FLAGS

    from seqvision.config import command_line
    from seqvision.config.user_path import expanded
    from seqvision.runtime.compilation_cache import enable_compilation_cache

    modes = {name: (*mode.arguments, *mode.place) for name, mode in MODES.items()}
    settings = command_line.parse(argv, modes)
    name = FLAGS.mode
    mode = MODES[name]
    arguments = {argument: FLAGS[argument].value for argument in mode.arguments}
    if "workdir" in arguments:
        default = command_line.default_workdir() + _FOLDERS.get(name, "")
        arguments["workdir"] = expanded(arguments["workdir"] or default, "--workdir")
    enable_compilation_cache()
    if mode.place:
        batch_size = settings.data.batch_size * settings.num_seeds if mode.splits_batch else 0
        _prepare_devices(name, batch_size)
    run = importlib.import_module(f"seqvision.{mode.module or name}").run
    if not gc.isenabled():  # By `command`: what was imported stays, and is not looked through.
        gc.freeze()
        gc.enable()
    end_in_order()
    return run(settings, **arguments)


def _prepare_devices(mode: str, batch_size: int) -> None:
    """Makes the CPU some JAX devices and joins the other processes, if there are any."""
    from absl.flags import FLAGS

    from seqvision.runtime.cluster import find_cluster
    from seqvision.runtime.cpu_devices import prepare_host

    cluster = find_cluster(FLAGS.coordinator_address, FLAGS.num_processes, FLAGS.process_id)
    num_processes = cluster.num_processes if cluster else 1
    prepare_host(FLAGS.host_devices, batch_size // num_processes)
    if cluster and ("process_id" not in MODES[mode].place or FLAGS.profile):
        flag = "--profile" if FLAGS.profile else f"--mode={mode}"
        raise UserError(
            f"{flag}: it takes one process, and this is one of {num_processes}; start it alone,"
            " with --num_processes=1"
        )
    if cluster:
        from seqvision.runtime import processes

        processes.join(cluster)


def command() -> NoReturn:
    """Runs `main` on the process's arguments and ends the process."""
    gc.disable()  # To look for garbage takes an eighth of the imports, and there is none.
    # An import that Ctrl-C interrupts may end in a traceback, or swallow it; nothing is lost yet.
    for number in ending_signals():
        signal.signal(number, _end_at_once)
    try:
        sys.exit(main(sys.argv))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        _end(error.exit_code)
    except BrokenPipeError:
        # The reader, such as `head`, left. Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _end(141)
    except KeyboardInterrupt as error:
        number = error.signal if isinstance(error, Ended) else signal.SIGINT
        print(_stopped_by(number), file=sys.stderr)
        _end(128 + number)
    except Exception as error:
        if is_out_of_memory(error):
            print(f"error: {explain_out_of_memory(error)}", file=sys.stderr)
            _end(2)
        traceback.print_exc()
        _end(1)


def _stopped_by(number: int) -> str:
    """The last line of a process that a signal ended."""
    return f"stopped by {'Ctrl-C' if number == signal.SIGINT else signal.Signals(number).name}"


def _end_at_once(number: int, frame: object) -> NoReturn:
    with contextlib.suppress(OSError):  # The terminal may be gone.
        os.write(2, f"{_stopped_by(number)}\n".encode())
    os._exit(128 + number)


def _end(code: int) -> NoReturn:
    """Ends after an error, of which the other processes may know nothing."""
    if "jax" in sys.modules:
        from seqvision.runtime import processes

        processes.end(code)
    sys.exit(code)


if __name__ == "__main__":
    command()
