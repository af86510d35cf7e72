"""Plans of sweeps for tests."""

from typing import Any

from configs import default
from seqvision.config.schema import Settings
from seqvision.config.validation import validate
from seqvision.sweeps.plan import Plan, plan_sweep


def base() -> Settings:
    return validate(default.get_config())


def plan_of(*runs: dict[str, Any]) -> Plan:
    return plan_sweep(base(), list(runs))
