"""Facts of a made-up result."""

from typing import Any

FACTS: dict[str, Any] = {
    "name": "made-up",
    "command": "python -m benchmarks.speed.lstm",
    "date": "2000-01-01",
    "commit": "0123",
    "machine": {"cpu": "a CPU", "cores": 2, "memory": "4.0 GiB", "gpus": [], "load_average": 0.0},
    "versions": {"python": "3.0", "jax": "0.0"},
    "rounds": 3,
    "seconds": 1.0,
    "contenders": {"seqvision": {"jax": "0.0"}, "peer": {"torch": "0.0"}},
    "missing": {"keras": "No module named 'keras'"},
}
