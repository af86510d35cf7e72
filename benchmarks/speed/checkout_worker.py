"""Training steps of a config of whichever checkout is on the path, for `checkouts`.

It imports nothing of `benchmarks`, so that it runs beside the code of any commit.
"""

import importlib
import json
import platform
import sys
import time
from collections.abc import Callable


def training(name: str, variant: str, batch_size: int) -> Callable[[int], None]:
    """A function that takes so many training steps, with nothing between them."""
    from seqvision import prepare_host

    prepare_host(batch_size=batch_size)
    import jax

    from seqvision.config.validation import validate
    from seqvision.data.from_config import load_dataset
    from seqvision.training.from_config import create_dispatcher, create_training

    module = importlib.import_module(f"configs.{name}")
    config = module.get_config(variant) if variant else module.get_config()
    config.data.batch_size = batch_size or config.data.batch_size
    settings = validate(config)
    dataset = load_dataset(settings, lambda line: None)
    setup = create_training(settings, dataset)
    dispatcher = create_dispatcher(settings, setup, dataset)
    state, step = setup.replicas.create_state(setup.init, setup.mesh), 0

    def take(num_steps: int) -> None:
        nonlocal state, step
        goal = step + num_steps
        while step < goal:
            state, finite = dispatcher.advance(state, step, goal - step)
            step = state.num_steps
            if not finite:
                raise RuntimeError("training diverged")
        jax.block_until_ready(state.params)

    return take


def main(name: str, variant: str, batch_size: str) -> None:
    answers, sys.stdout = sys.stdout, sys.stderr
    take = training(name, variant, int(batch_size))
    take(2)  # Compiles.
    import jax

    versions = {"python": platform.python_version(), "jax": jax.__version__}
    print(json.dumps({"versions": versions}), file=answers, flush=True)
    for line in sys.stdin:
        num_steps = json.loads(line)["steps"]
        wall, processor = time.perf_counter(), time.process_time()
        take(num_steps)
        seconds = time.perf_counter() - wall, time.process_time() - processor
        wall_ms, processor_ms = (1000 * each / num_steps for each in seconds)
        answer = {"wall": wall_ms, "processor": processor_ms}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
