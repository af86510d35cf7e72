"""Features of frames by seqvision; in a process of its own, see `benchmarks.speed.features`."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed.contenders.frame_features import frames
from seqvision.runtime.cpu_devices import prepare_host

LITE, SMALL = "tf_efficientnet_lite0", "mobilenet_v3_small"


def main() -> None:
    name, count, side, threads, weights = sys.argv[1:]
    prepare_host(int(threads))
    import jax
    import jax.numpy as jnp

    from seqvision.data.features.extraction import Extractor
    from seqvision.models.backbones import Backbone
    from seqvision.models.backbones.weights import load_backbone

    if name == LITE:
        params = load_backbone(Path(weights), name)
    else:
        init: Any = jax.jit(Backbone(name).init)(jax.random.key(0), jnp.zeros((1, 64, 64, 3)))
        params = jax.device_get(init["params"])
    extractor = Extractor(name, params, "float32")
    images = frames(int(count), int(side))
    extractor.start(images[: extractor.batch_size])()
    start = time.perf_counter()
    found, running = [], None
    for first in range(0, len(images), extractor.batch_size):
        result = extractor.start(images[first : first + extractor.batch_size])
        if running is not None:
            found.append(running())
        running = result
    assert running is not None
    features = np.concatenate([*found, running()])
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "first": features[0].tolist()}))


if __name__ == "__main__":
    main()
