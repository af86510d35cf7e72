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
from typing import NamedTuple

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


class Tried(NamedTuple):
    """A use of a case, and its outcome."""

    kind: str
    file: int
    name: str
    use: str
    outcome: Outcome


def tried(cases: Sequence[Case], seed: int) -> Iterator[Tried]:
    """All uses of the cases, and of the records of runs."""
    from benchmarks.checks.foreign_runs import Runs

    with tempfile.TemporaryDirectory(prefix="seqvision-foreign-") as folder:
        work = Path(folder)
        runs = Runs(work)
        records = list(runs.record_cases(np.random.default_rng(seed)))
        progress = Progress(len(cases) + len(records))
        for number, case in enumerate(cases):
            progress.show(case.name)
            uses = {"training": in_training, "predict": runs.predict, "read": runs.read}
            if case.use != "line":
                del uses["read"]
            if case.use == "set":
                del uses["predict"]
            for use, try_it in uses.items():
                with tempfile.TemporaryDirectory(dir=work) as place:
                    yield Tried(case.kind, number, case.name, use, try_it(case, Path(place)))
            progress.advance()
        for number, (kind, file, content) in enumerate(records):
            progress.show(str(file))
            with tempfile.TemporaryDirectory(dir=work) as place:
                for use, outcome in runs.use_record(file, content, Path(place)).items():
                    yield Tried(kind, number, f"{file}: {content[:40]!r}", use, outcome)
            progress.advance()


def main(arguments: Sequence[str]) -> int:
    parser = options.Parser("benchmarks.checks.foreign_files", __doc__)
    parser.add_argument("--seed", type=int, default=0, help="of the mutations; by default 0")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    chosen = parser.parse(arguments)
    cases = [case for case in all_cases(chosen.seed) if chosen.only in case.name]
    facts = report.begin(chosen, "foreign_files", seed=chosen.seed)
    found = []
    for one in tried(cases, chosen.seed):
        found.append(one)
        if one.outcome.result == "failed":
            print(f"FAILED {one.use}: {one.name}: {one.outcome.words}", flush=True)
    failures = [one for one in found if one.outcome.result == "failed"]
    kinds = _counts(found, "kind")
    facts |= {
        "files": sum(int(row[1]) for row in kinds),
        "kinds": kinds,
        "uses": _counts(found, "use"),
        "failures": [f"{one.use}: {one.name}: {one.outcome.words}" for one in failures],
    }
    header = ("files", "uses", *RESULTS)
    body = [
        f"{facts['files']} files:",
        "",
        *report.table(("kind", *header), kinds),
        "",
        *report.table(("use", *header), facts["uses"]),
    ]
    print(report.write(facts, body))
    return int(bool(failures))


def _counts(found: Sequence[Tried], by: str) -> list[tuple[str, ...]]:
    """By kind or use: how many files, uses, and outcomes of each result."""
    rows = []
    for name in dict.fromkeys(getattr(one, by) for one in found):
        own = [one for one in found if getattr(one, by) == name]
        results = Counter(one.outcome.result for one in own)
        files = {(one.kind, one.file) for one in own}
        rows.append((name, *map(str, (len(files), len(own), *(results[r] for r in RESULTS)))))
    return rows


if __name__ == "__main__":
    sys.exit(options.run(main))
