#!/usr/bin/env bash
# h5py 3.16.0 (HDF5 2.0.0): one wrong byte in the type of a text attribute ends the process.
#
# A type of variable length is a sequence (0) or a text (1); of any other number HDF5 gives no error, and to read the attribute
# is a segmentation fault. Of random changes of a few bytes in a Keras file about one in 2000 did so. A damaged or hostile
# file cannot be met with `except`; seqvision therefore walks through HDF5 files in a process of their own.
# Seen: byte 1881 of the file below as 2 in place of 1: signal 11.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet h5py==3.16.0 numpy==2.3.5
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import signal
import subprocess
import sys
from pathlib import Path

import h5py

with h5py.File("text.h5", "w") as file:
    file.create_group("vars").attrs["name"] = "lstm"
content = bytearray(Path("text.h5").read_bytes())
heap = content.find(b"GCOL")
# The attribute: its type (class 9, version 1; then its kind), its space, and 4 letters in the heap.
value = content.find((4).to_bytes(4, "little") + heap.to_bytes(8, "little"))
kind = content.rfind(b"\x19\x01", 0, value) + 1
assert content[kind] == 1
for number in (1, 2):
    content[kind] = number
    Path("text.h5").write_bytes(content)
    read = "import h5py; print(h5py.File('text.h5')['vars'].attrs['name'])"
    code = subprocess.run([sys.executable, "-c", read]).returncode
    print(f"byte {kind} = {number}: the process ends with {code}")
    assert code == (0 if number == 1 else -signal.SIGSEGV), "changed: HDF5 no longer crashes"
PYTHON
