"""The functions of several processes, for real: they connect over loopback, and fail together."""

from pathlib import Path

from tests.runtime.launching import codes, free_address, run_all

_MEET = ["-m", "tests.runtime.one_of_many", "meet"]


def test_the_same_functions_in_each(tiny_set: Path) -> None:
    command = [*_MEET, "200", free_address(), "2"]
    found = run_all([[*command, str(process), str(tiny_set)] for process in range(2)])
    assert codes(found) == [2, 2], found
    (_, first, _), (_, second, _) = found
    assert first.splitlines()[0] == "said once" and not second
    for _, _, error in found:
        words = "15 examples cannot be shared evenly by 4 devices in 2 processes; choose a multiple"
        assert words in error.splitlines()[-1]


def test_they_do_not_wait_for_ever() -> None:
    """Neither the first process, which others connect to, nor another one."""
    found = run_all([[*_MEET, "1.5", free_address(), "2", str(process), ""] for process in (0, 1)])
    assert codes(found) == [2, 2]
    for _, _, error in found:
        assert "error: the 2 processes did not connect at 127.0.0.1:" in error
        assert "within 2 s; start all of them" in error
