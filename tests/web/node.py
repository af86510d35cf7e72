"""JavaScript of the page in Node."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from seqvision.web.pages import ASSETS

NODE = shutil.which("node")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
RUNTIME = Path(os.environ.get("SEQVISION_ONNXRUNTIME_WEB", "none"))
"""The folder of the npm package `onnxruntime-web`; `.ci/run` has it."""

needs_node = pytest.mark.skipif(NODE is None, reason="there is no node; apt-get install nodejs")
needs_runtime = pytest.mark.skipif(
    not RUNTIME.is_dir(),
    reason="$SEQVISION_ONNXRUNTIME_WEB names no folder of the npm package onnxruntime-web",
)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no Chromium; apt-get install chromium"
)


def in_node(body: str, given: Any) -> Any:
    """Runs the body of a module, with `given` and `page` (the folder's address); what it returns.

    Args:
      body: statements of an async function.
      given: anything that is JSON.
    """
    code = f"""
let text = "";
for await (const part of process.stdin) text += part;
const page = "{ASSETS.resolve().as_uri()}/";
const given = JSON.parse(text);
const found = await (async () => {{ {body} }})();
process.stdout.write(JSON.stringify(found));
"""
    command = [str(NODE), "--input-type=module", "--eval", code]
    ran = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)
