"""The log of metrics: what is on the disk once it is flushed."""

import shutil
import struct
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event, SessionLog

from seqvision.runs.metrics_log import MetricsLog


def events(folder: Path) -> list[Event]:
    """Those of all files, by their framing alone: length, checksum, event, checksum."""
    found = []
    for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            found.append(Event.FromString(content[12 : 12 + length]))
            content = content[16 + length :]
    return found


def scalars(folder: Path) -> list[tuple[str, int, float]]:
    rows = [(value, event.step) for event in events(folder) for value in event.summary.value]
    return [(value.tag, step, value.simple_value) for value, step in rows]


def test_a_kill_after_sync_loses_no_point(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for name in ("config.json", "environment.json"):
        (tmp_path / "run" / name).write_text("{}")
    log = MetricsLog(tmp_path / "run", 0)
    for step in range(1, 30):
        log.metrics(step, "train", {"loss": step / 8, "count": 4}, 1.0)
        log.scalars(step, "train", {"speed": 2.0})
        log.sync()
        # What a kill would leave now.
        left = shutil.copytree(tmp_path / "run", tmp_path / f"left{step}")
        points = scalars(left / "tensorboard")
        assert points[-2:] == [("train/loss", step, step / 8), ("train/speed", step, 2.0)]
        assert len(points) == 2 * step
        assert len((left / "metrics.jsonl").read_text().splitlines()) == step
    log.close()


def test_a_resumed_run_purges_what_it_records_again(tmp_path: Path) -> None:
    for resumed_step in (0, 2):
        log = MetricsLog(tmp_path, resumed_step)
        for step in range(resumed_step + 1, 5):
            log.metrics(step, "train", {"loss": 1.0 + resumed_step}, 1.0)
        log.close()
    found = events(tmp_path / "tensorboard")
    starts = [event.step for event in found if event.session_log.status == SessionLog.START]
    assert starts == [1, 3]
    assert [step for _, step, _ in scalars(tmp_path / "tensorboard")] == [1, 2, 3, 4, 3, 4]
