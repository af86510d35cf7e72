"""Foreign and mutated files through training set-up, `predict` and `read`.

    python -m benchmarks.checks.foreign_files

Pictures, clips, images of lines, arrays, IDX files, tables of texts, PAGE and ALTO files, folders
and records of runs are made from a fixed seed. Each is given to all that reads such files. Right
are: the pixels, labels and texts that are known or that another library reads; or one clear line.
A traceback, more than 5 s, more than 1 GiB, words on stderr and any other value are failures.
"""

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks import options, report
from benchmarks.checks.foreign_cases import Case
from benchmarks.checks.foreign_pages import page_cases
from benchmarks.checks.foreign_pictures import clip_cases, line_image_cases, picture_cases
from benchmarks.checks.foreign_sets import folder_cases, idx_cases, npz_cases, table_cases
from benchmarks.checks.foreign_uses import Outcome, in_training
from benchmarks.progress import Progress

RESULTS = ("answer", "refused", "failed")
_MAKERS = (
    picture_cases, clip_cases, line_image_cases, npz_cases, idx_cases, table_cases, page_cases,
    folder_cases,
)  # fmt: skip


def all_cases(seed: int) -> list[Case]:
    """The cases but for the records of runs; the same for the same seed and versions."""
    return [case for make in _MAKERS for case in make(np.random.default_rng(seed))]


def tried(cases: Sequence[Case], seed: int) -> Iterator[tuple[str, str, str, Outcome]]:
    """Kind, name, use and outcome of each use of each case."""
    from benchmarks.checks.foreign_runs import Runs

    with tempfile.TemporaryDirectory(prefix="seqvision-foreign-") as folder:
        work = Path(folder)
        runs = Runs(work)
        records = list(runs.record_cases(np.random.default_rng(seed)))
        progress = Progress(len(cases) + len(records))
        for case in cases:
            progress.show(case.name)
            with _fresh(work) as place:
                yield case.kind, case.name, "training", in_training(case, place)
            if case.use != "set":
                with _fresh(work) as place:
                    yield case.kind, case.name, "predict", runs.predict(case, place)
            if case.use == "line":
                with _fresh(work) as place:
                    yield case.kind, case.name, "read", runs.read(case, place)
            progress.advance()
        for kind, file, content in records:
            progress.show(str(file))
            with _fresh(work) as place:
                for use, outcome in runs.use_record(file, content, place).items():
                    yield kind, f"{file}: {content[:40]!r}", use, outcome
            progress.advance()


class _fresh(tempfile.TemporaryDirectory):  # noqa: N801
    """A new folder, as a path."""

    def __init__(self, work: Path) -> None:
        super().__init__(dir=work)

    def __enter__(self) -> Path:
        return Path(self.name)


def main(arguments: Sequence[str]) -> int:
    parser = options.Parser("benchmarks.checks.foreign_files", __doc__)
    parser.add_argument("--seed", type=int, default=0, help="of the mutations; by default 0")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    chosen = parser.parse(arguments)
    cases = [case for case in all_cases(chosen.seed) if chosen.only in case.name]
    facts = report.begin(chosen, "foreign_files", seed=chosen.seed)
    counts: Counter[tuple[str, str]] = Counter()
    by_use: Counter[tuple[str, str]] = Counter()
    files: dict[str, set[str]] = {}
    failures: list[str] = []
    for number, (kind, name, use, outcome) in enumerate(tried(cases, chosen.seed)):
        counts[kind, outcome.result] += 1
        by_use[use, outcome.result] += 1
        files.setdefault(kind, set()).add(name if kind in {c.kind for c in cases} else str(number))
        if outcome.result == "failed":
            failures.append(f"{use}: {name}: {outcome.words}")
            print(f"FAILED {failures[-1]}", flush=True)
    header = ("kind", "uses", *RESULTS)
    rows = [
        (kind, str(sum(counts[kind, r] for r in RESULTS)), *(str(counts[kind, r]) for r in RESULTS))
        for kind in files
    ]
    totals = [
        (use, str(sum(by_use[use, r] for r in RESULTS)), *(str(by_use[use, r]) for r in RESULTS))
        for use in dict.fromkeys(use for use, _ in by_use)
    ]
    facts |= {"files": len(cases), "kinds": rows, "uses": totals, "failures": failures}
    body = [*report.table(header, rows), "", *report.table(("all", *header[1:]), totals)]
    print(report.write(facts, body))
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(options.run(main))
