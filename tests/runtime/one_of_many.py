"""One process of several: main.py with a signal, or the functions of `runtime.processes`.

python -m tests.runtime.one_of_many signal PROCESS STEP SIGNAL ARGUMENTS...  a signal at a step
python -m tests.runtime.one_of_many meet SECONDS ADDRESS COUNT PROCESS SET   calls of functions
"""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

MAPPED = "0000000000000000FFFF0000"  # Before an IPv4 address within IPv6 (RFC 4291).


def main() -> int:
    kind, *arguments = sys.argv[1:]
    if kind == "signal":
        import main as program

        process, step, number, *sys.argv[1:] = arguments
        if f"--process_id={process}" in sys.argv:
            raise_at(int(step), int(number))
        return program.main(sys.argv)
    seconds, address, count, process, data_set = arguments
    return meet(float(seconds), address, int(count), int(process), data_set)


def raise_at(step: int, number: int) -> None:
    from seqvision.training.dispatch import StepDispatcher

    advance = StepDispatcher.advance

    def advance_and_raise(self: Any, state: Any, at: int) -> Any:
        if at >= step:
            os.kill(os.getpid(), number)
        return advance(self, state, at)

    StepDispatcher.advance = advance_and_raise  # type: ignore[method-assign, assignment]


def meet(seconds: float, address: str, count: int, process: int, data_set: str) -> int:
    from seqvision.runtime.cluster import FLAGS, Cluster
    from seqvision.runtime.cpu_devices import prepare_host

    prepare_host(2)
    import jax

    from seqvision.errors import UserError
    from seqvision.runtime import processes
    from seqvision.runtime.console import say
    from seqvision.runtime.mesh import batch_sharding, create_mesh, replicated
    from seqvision.runtime.transfer import to_devices, to_host

    processes.join(Cluster(FLAGS, count, address, process), seconds)
    assert (jax.process_count(), jax.process_index()) == (count, process)
    assert processes.is_primary() == (process == 0)
    # 127.0.0.1 alone, as IPv4 or within IPv6.
    assert [host[-8:] for host in listening(int(address.rpartition(":")[2]))] == ["0100007F"]
    assert {host[:-8] for host in listening(int(address.rpartition(":")[2]))} <= {"", MAPPED}
    assert processes.all_reduce_max(10 * process) == 10 * (count - 1)
    assert processes.all_reduce_max(-process) == 0
    assert processes.broadcast(7 if process == 0 else 9) == 7
    say("said once")

    mesh = create_mesh()
    numbers = np.arange(4 * mesh.size, dtype=np.int32).reshape(-1, 2)
    for sharding in (batch_sharding(mesh), replicated(mesh)):
        placed = to_devices({"numbers": numbers}, sharding)
        assert to_devices(placed, sharding)["numbers"] is placed["numbers"]
        twice = jax.jit(lambda tree: 2 * tree["numbers"], out_shardings=sharding)(placed)
        np.testing.assert_array_equal(to_host(twice), 2 * numbers)

    processes.check_same({"a": "the same", "b": 3})
    for name, value in (("data", process), ("workdir", "x" * process)):
        try:
            processes.check_same({"a": 1, name: value})
        except UserError as error:
            assert str(error) == f"the {count} processes do not see the same {name}"
        else:
            raise AssertionError(name)
    with processes.fail_together():
        pass
    return train_on_odd_batches(data_set)


def listening(port: int) -> list[str]:
    """The local addresses, in hexadecimal, at which something listens on a port (proc(5))."""
    rows = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path("/proc/net", name).read_text().splitlines()[1:]
    ]
    listens = [row[1].split(":") for row in rows if row[3] == "0A"]
    return [host for host, number in listens if int(number, 16) == port]


def train_on_odd_batches(data_set: str) -> int:
    """All processes fail with the same error, and none waits for another."""
    from configs import default
    from seqvision.train import train_and_evaluate

    config = default.get_config()
    config.data.source, config.data.path, config.data.batch_size = "npz", data_set, 15
    train_and_evaluate(config, f"{data_set}.run")
    return 0


if __name__ == "__main__":
    from seqvision.errors import UserError

    try:
        code = main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 2
    sys.exit(code)
