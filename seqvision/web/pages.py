"""The files of the page, and the folder that needs no server of its own."""

import json
import shutil
from pathlib import Path
from typing import Any

from seqvision.errors import UserError

ASSETS = Path(__file__).parent / "page"
_SOCKET, _ONNX = "socket_engine.js", "onnx_engine.js"

ONNXRUNTIME_WEB = "1.30.0"
"""The version that the tests pass on."""
_RUNTIME = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")


def check_shown(facts: dict[str, Any], name: str) -> None:
    """Raises UserError for a network that no page can show while it reads.

    Args:
      facts: of `exporters.description.describe`.
      name: of the run.
    """
    is_reader = facts["kind"] == "reader"
    if facts["steps"] is None and (is_reader or len(facts["inputs"]["shape"]) == 4):
        what = "line" if is_reader else "clip"
        raise UserError(
            f"{name}: this run reads in both directions, or has a CNN for each frame position, and"
            f" needs the whole {what}, so no page can show it while it reads; choose a run with"
            " config.model.bidirectional=False and config.model.cnn_per_frame=False, or"
            " --mode=predict"
        )


def served() -> dict[str, Path]:
    """The files of the page that a server has to give, by their names."""
    return {path.name: path for path in sorted(ASSETS.iterdir()) if path.name != _ONNX}


def write_page(folder: Path, onnxruntime_web: str | Path) -> None:
    """Makes the folder of an exported network a page, which any server of plain files can give.

    Args:
      folder: with `network.json`, and `step.onnx` or, for networks without steps, `network.onnx`.
      onnxruntime_web: the folder of the npm package of that name.

    Raises:
      UserError: no page can show the network, or the npm package is not there.
    """
    check_shown(json.loads((folder / "network.json").read_text(encoding="utf-8")), str(folder))
    for path in [*sorted(ASSETS.iterdir()), *runtime_files(onnxruntime_web)]:
        if path.name != _SOCKET:
            shutil.copyfile(path, folder / path.name)


def runtime_files(onnxruntime_web: str | Path) -> list[Path]:
    """The files of the npm package onnxruntime-web that the page needs; UserError without them."""
    how = (
        f"get it with `npm install --ignore-scripts onnxruntime-web@{ONNXRUNTIME_WEB}` and give"
        " --onnxruntime_web=node_modules/onnxruntime-web"
    )
    if not str(onnxruntime_web):
        raise UserError(f"--onnxruntime_web: missing; the page runs by this npm package; {how}")
    paths = [Path(onnxruntime_web) / "dist" / name for name in _RUNTIME]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise UserError(f"--onnxruntime_web: there is no {missing[0]}; {how}")
    return paths
