"""Time for a column in the page's WebAssembly, in a headless Chromium.

    python -m benchmarks.speed.web --onnxruntime_web=node_modules/onnxruntime-web

The network has the size of `configs/column_reader.py` and random weights, which take as long.
"""

import argparse
import functools
import http.server
import json
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from configs import column_reader
from seqvision.config.validation import validate
from seqvision.exporters.description import describe
from seqvision.onnx.step import network_step
from seqvision.runs.data_facts import DataFacts
from seqvision.runs.saved_run import Run
from seqvision.tasks.from_config import create_network, create_task
from seqvision.web.pages import write_page

_SHAPE = (32, 400, 1)
_PUSHES = """async ([size, count]) => {
  const { connect } = await import("./onnx_engine.js");
  const engine = await connect(await (await fetch("network.json")).json());
  const columns = new Uint8Array(32 * size).fill(99);
  const times = [];
  for (let block = 0; block < 60; block++) { // Its clock has steps of 0.1 ms.
    const begun = performance.now();
    for (let push = 0; push < count; push++) await engine.push(columns, size);
    times.push((performance.now() - begun) / count / size);
  }
  return times.slice(15);
}"""
_FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync"


def write(folder: Path, onnxruntime_web: str) -> None:
    """Writes the page of a reader."""
    settings = validate(column_reader.get_config())
    names = (*"0123456789", " ")
    task = create_task(settings, names)
    model: Any = create_network(settings, task)
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, *_SHAPE)))["params"]
    data = DataFacts("made", "1", _SHAPE, names, "dark", {})
    facts = describe(Run(folder, settings, data, task, model, params, 0, 0))
    graph = network_step(model, jax.tree.map(np.asarray, params), _SHAPE)
    folder.mkdir()
    (folder / "network.json").write_text(json.dumps(facts))
    (folder / "step.onnx").write_bytes(graph.model().SerializeToString())
    write_page(folder, onnxruntime_web)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


def main() -> None:
    """Prints one line for each size of push."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--onnxruntime_web", required=True)
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        write(Path(name) / "page", options.onnxruntime_web)
        handler = functools.partial(_Quiet, directory=f"{name}/page")
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=options.chromium, args=_FLAGS.split())
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        for size, count in ((1, 50), (8, 20), (64, 5)):
            low, middle = np.percentile(page.evaluate(_PUSHES, [size, count]), [5, 50])
            print(f"pushes of {size:>2}: {middle:.3f} ms a column (the fastest 5 %: {low:.3f})")
        print(f"Chromium {browser.version}")
        browser.close()
        server.shutdown()


if __name__ == "__main__":
    main()
