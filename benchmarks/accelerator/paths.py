"""The paths of seqvision that can run here."""

from benchmarks.accelerator.record import Record
from benchmarks.machine import describe_machine

PATHS = ("scan", "fused", "cudnn", "persistent")
NEED_A_GPU = ("cudnn", "persistent")


def known_paths(record: Record) -> list[str]:
    """Those that this seqvision has and this machine can run; the others are left out."""
    from seqvision.models.execution.choose import EXECUTIONS

    has_gpu = not record.rehearse and bool(describe_machine()["gpus"])
    found = []
    for path in PATHS:
        if path not in EXECUTIONS:
            record.leave_out(path, "this seqvision has no such execution")
        elif path in NEED_A_GPU and not has_gpu:
            record.leave_out(path, "it needs an NVIDIA GPU")
        else:
            found.append(path)
    return found


def torch_is_there() -> bool:
    """Whether PyTorch is installed; it is not imported."""
    import importlib.util

    return importlib.util.find_spec("torch") is not None
