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
            f"{name}: this run reads in both directions and needs the whole {what}, so no page can"
            " show it while it reads; choose a run with config.model.bidirectional=False, or"
            " --mode=predict"
        )


def served() -> dict[str, Path]:
    """The files of the page that a server has to give, by their names."""
    return {path.name: path for path in sorted(ASSETS.iterdir()) if path.name != _ONNX}


def write_page(
    folder: Path,
    network_json: dict[str, Any],
    step_onnx: bytes | None,
    network_onnx: bytes | None,
    onnxruntime_web: str | Path = "",
) -> None:
    """Writes a folder that is a page: any server of plain files can give it, without this package.

    Args:
      folder: an empty one; it is made where it is missing.
      network_json: of `exporters.description.describe`.
      step_onnx: of `exporters.onnx_step`, for networks with steps.
      network_onnx: of `exporters.onnx_network`, for the others.
      onnxruntime_web: the folder of the npm package of that name.

    Raises:
      UserError: no page can show the network, or the npm package is not there.
    """
    check_shown(network_json, str(folder))
    runtime = _runtime(onnxruntime_web)
    content = step_onnx if network_json["steps"] else network_onnx
    assert content is not None
    folder.mkdir(parents=True, exist_ok=True)
    for path in [*sorted(ASSETS.iterdir()), *runtime]:
        if path.name != _SOCKET:
            shutil.copyfile(path, folder / path.name)
    (folder / ("step.onnx" if network_json["steps"] else "network.onnx")).write_bytes(content)
    text = json.dumps(network_json, ensure_ascii=False, indent=2)
    (folder / "network.json").write_text(text + "\n", encoding="utf-8")


def _runtime(onnxruntime_web: str | Path) -> list[Path]:
    """The files of onnxruntime-web that the page needs."""
    how = (
        f"get it with `npm install --ignore-scripts onnxruntime-web@{ONNXRUNTIME_WEB}` and give"
        " --onnxruntime_web=node_modules/onnxruntime-web"
    )
    if not str(onnxruntime_web):
        raise UserError(f"--onnxruntime_web: the page runs by this npm package; {how}")
    paths = [Path(onnxruntime_web) / "dist" / name for name in _RUNTIME]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise UserError(f"--onnxruntime_web: there is no {missing[0]}; {how}")
    return paths
