"""A page in the browser that reads while one writes: `--mode=serve`."""

import asyncio
from pathlib import Path

from seqvision.config.schema import Settings
from seqvision.errors import UserError
from seqvision.runs.saved_run import check_targets, load_run
from seqvision.runtime.console import say

_MOST_PAGES = 16


def serve_run(workdir: Path, host: str, port: int, seed: int | None = None) -> int:
    """Serves the page of a run until Ctrl-C or SIGTERM.

    Args:
      workdir: a trained run.
      host: a name or an address of this machine.
      port: 0 for a free one.
      seed: of a run of several seeds, whose weights; by default those of the first.

    Returns:
      The exit code: 130 for Ctrl-C, 143 for SIGTERM.

    Raises:
      UserError: there is no trained run, one that cannot read live, no such host or port, or the
        extra `serve` is not installed.
    """
    try:
        from seqvision.exporters.description import describe
        from seqvision.web.server import PageServer, serve
        from seqvision.web.streams import opener
    except ImportError as error:
        raise UserError(
            f"--mode=serve: {error.name} is not installed; install the extra: pip install"
            " 'seqvision[serve]' (in a clone: pip install -e '.[serve]')"
        ) from None
    from seqvision.web.pages import check_shown

    if not workdir.exists():
        raise UserError(
            f"{workdir}: no run here; train it first: the same command without --mode=serve and its"
            " flags (configs/column_reader.py:quick trains for minutes), or name another --workdir"
        )
    run = load_run(workdir, seed)
    check_targets(run, "the page")
    facts = describe(run)
    check_shown(facts, str(workdir))
    say(f"network   {workdir}, step {run.step}: a {facts['kind']}")
    server = PageServer(facts, opener(run, facts), _MOST_PAGES)
    number = asyncio.run(serve(server, host, port))
    say(f"ended by {number.name}")
    return 128 + number


def run(settings: Settings, workdir: Path, host: str, port: int, seed: int | None) -> int:
    """`--mode=serve`, called as all modes are; returns the exit code."""
    return serve_run(workdir, host, port, seed)
