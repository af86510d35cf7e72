"""The estimated time to the end of a sweep."""

import pytest

from seqvision.sweeps.eta import SweepProgress, fractions_done


def test_progress_by_hand() -> None:
    assert fractions_done("") == (0, 0)
    assert fractions_done("resuming x from step 20\nstep 50/80  loss\nstep 60/80  loss\n") == (
        0.25,
        0.75,
    )
    progress = SweepProgress(num_runs=4, now=100.0)
    assert progress.seconds_left(now=105.0, running=[""]) is None
    progress.ended("step 80/80  loss")
    # 1.5 runs in 30 s leave 2.5 runs.
    assert progress.seconds_left(now=130.0, running=["step 40/80  loss"]) == pytest.approx(50)
