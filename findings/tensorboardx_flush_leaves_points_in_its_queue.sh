#!/usr/bin/env bash
# tensorboardX 2.6.5: `SummaryWriter.flush()` returns before the scalar that was just added is in the event file.
#
# add_scalar puts the event into a queue, from which a thread takes it; flush() flushes the file, and does not wait for
# the queue. So a process that is killed after flush(), as after saving a checkpoint, can lose points that it has been
# told are written. close() does wait.
# Seen: of 50 flushed scalars, the file lacked the newest one after 50 of 50 calls of flush() on an idle machine
# (Python 3.11.7, Linux, x86-64); it is a race, so the number differs.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tensorboardX==2.6.5 protobuf==6.33.2 numpy==2.3.5
"$folder/venv/bin/python" - "$folder/logs" <<'PYTHON'
import pathlib
import sys

from tensorboardX import SummaryWriter

writer = SummaryWriter(sys.argv[1])
missing = 0
for step in range(50):
    tag = f"point_{step:03d}"
    writer.add_scalar(tag, 1.0, step)
    writer.flush()
    [file] = pathlib.Path(sys.argv[1]).iterdir()
    missing += tag.encode() not in file.read_bytes()
writer.close()
at_end = file.read_bytes()
print(f"{missing} of 50 points were not in the file after flush(); after close() all are")
assert all(f"point_{step:03d}".encode() in at_end for step in range(50))
assert missing > 0, "changed: flush() now waits for what was added"
PYTHON
