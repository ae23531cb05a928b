"""`make bench`: Assay, real VLMEvalKit and a bare client side by side on one stub.

Three interleaved rounds (A-B-F, B-F-A, F-A-B), fresh processes, medians. The stub's clock is the referee.
Where VLMEvalKit is too slow to wait for it gets fewer rows, and the table says how many.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import contenders
import tables
from contenders import Result, Stub, stub

LATENCY, SLOTS, ROWS = 0.2, 64, 2000
NOISE = 0.15
"""A section is void when the floor's own rounds differ by more than this."""

OTHERS = 0.2
"""Cores that may do something else while Assay is measured; above it the figures say too little."""


@dataclass(frozen=True)
class Row:
    """One line of the report: a figure, what it should be, and whether it is."""

    what: str
    value: float
    unit: str
    target: str
    met: bool

    def __str__(self) -> str:
        word = "ok" if self.met else "MISSED"
        return f"  {self.what:<58} {self.value:>10.3f} {self.unit:<10} {self.target:<22} {word}"


def median(results: list[Result], name: str) -> float:
    values = [getattr(result, name) for result in results]
    return statistics.median([value for value in values if value is not None])


def spread(values: list[float]) -> float:
    return (max(values) - min(values)) / statistics.median(values)


def say(text: str = "") -> None:
    print(text, flush=True)


def told(name: str, result: Result) -> Result:
    accuracy = "" if result.accuracy is None else f", accuracy {result.accuracy:.4f}"
    if result.others is not None:
        accuracy += f", others took {result.others:.2f} cores"
    say(
        f"  {name:<22} N={result.rows:<6} slots used {result.slots_used:.3f}"
        f" (of inference {result.slots_of_inference:.3f}), wall"
        f" {result.wall_seconds:.2f} s, first request {result.first_request:.2f} s,"
        f" CPU {result.cpu_ms:.2f} ms/sample, memory {result.rss_bytes / 1e6:.0f} MB"
        f"{accuracy}"
    )
    return result


@contextmanager
def captured(table: tables.Table, work: Path) -> Iterator[tuple[Path, Path, Result]]:
    """The bodies Assay sends, its cache with the prepared dataset, and that first, cold run."""
    bodies, cache = work / "bodies.bin", work / "cache"
    with stub(LATENCY, SLOTS, capture=bodies) as referee:
        cold = contenders.assay(table, referee, work / "capture", cache)
    yield bodies, cache, told("Assay, cold", cold)


@dataclass
class Section:
    """One picture size: who ran, and what came out."""

    side: int
    ours: list[Result]
    ours_cold: list[Result]
    peer_warm: list[Result]
    peer_cold: list[Result]
    floor: list[Result]

    def rows(self) -> Iterator[Row]:
        slots, bound = median(self.ours, "slots_used"), median(self.floor, "slots_used")
        size = f"{self.side}²"
        if self.side < 1024:
            goal = "≥ 0.90"
            yield Row(f"slots used, {size}", slots, "", goal, slots >= 0.9)
        ratio = slots / bound
        goal = "≥ 0.95 of the floor's" if self.side >= 1024 else ""
        met = ratio >= 0.95 or not goal
        yield Row(f"slots used over the floor's, {size}", ratio, "", goal, met)
        cpu, rss = median(self.ours, "cpu_ms"), median(self.ours, "rss_bytes") / 1e6
        first = median(self.ours, "first_request")
        written = median(self.ours, "bytes_per_sample")
        allowed = 200 + 1.1 * len("A")
        yield Row(f"worker CPU, {size}", cpu, "ms/sample", "≤ 1.0", cpu <= 1.0)
        yield Row(f"worker memory, {size}", rss, "MB", "≤ 150", rss <= 150)
        yield Row(f"first request after, {size}", first, "s", "≤ 1.5", first <= 1.5)
        goal = f"≤ {allowed:.0f}"
        met = written <= allowed
        yield Row(f"segments and epochs, {size}", written, "B/sample", goal, met)
        for name, each in (("cold", self.ours_cold), ("warm", self.ours)):
            wall = median(each, "wall_seconds")
            what = f"wall of the whole command, {name}, {size}"
            yield Row(what, wall, "s", "", met=True)
        for name, them in (("cold", self.peer_cold), ("warm", self.peer_warm)):
            theirs = median(them, "slots_of_inference")
            what = f"VLMEvalKit {name}, slots of inference, {size} (N={them[0].rows})"
            yield Row(what, theirs, "", "", met=True)
            yield Row(f"  ours over it, {size}", slots / theirs, "times", "", met=True)
        others = median(self.ours, "others")
        what, goal = f"taken by other work on the machine, {size}", f"≤ {OTHERS}"
        yield Row(what, others, "cores", goal, others <= OTHERS)
        noise = spread([each.slots_used for each in self.floor])
        goal = f"≤ {NOISE}"
        yield Row(f"the floor's own spread, {size}", noise, "", goal, noise <= NOISE)


def section(side: int, rounds: int, peer_rows: int, work: Path) -> Section:
    """All contenders at one picture size."""
    say(f"\n{side}² pictures, {LATENCY * 1000:.0f} ms, {SLOTS} slots, N = {ROWS}")
    table = tables.pictures(ROWS, side)
    # VLMEvalKit loads the whole TSV whatever the limit: a short one is a kindness.
    short = tables.pictures(peer_rows, side) if peer_rows < ROWS else table
    found = Section(side, [], [], [], [], [])
    with (
        captured(table, work) as (bodies, cache, cold),
        stub(LATENCY, SLOTS) as referee,
    ):
        found.ours_cold.append(cold)
        turns = _turns(found, referee, (table, short, peer_rows), (bodies, cache), work)
        for number in range(rounds):
            say(f" round {number + 1}")
            for turn in turns[number % 3 :] + turns[: number % 3]:
                turn()
    bodies.unlink()
    return found


def _turns(
    found: Section,
    referee: Stub,
    data: tuple[tables.Table, tables.Table, int],
    made: tuple[Path, Path],
    work: Path,
) -> list[Callable[[], None]]:
    table, short, peer_rows = data
    bodies, cache = made

    def ours() -> None:
        result = contenders.assay(table, referee, work / "ours", cache)
        found.ours.append(told("Assay", result))

    def theirs() -> None:
        lmu = Path(tempfile.mkdtemp(prefix="lmu-", dir=work))
        for name, kept in (("cold", found.peer_cold), ("warm", found.peer_warm)):
            result = contenders.peer(short, referee, work / "peer", peer_rows, lmu)
            kept.append(told(f"VLMEvalKit, {name}", result))

    def bare() -> None:
        result = contenders.floor(bodies, referee, work / "floor", table.rows)
        found.floor.append(told("floor", result))

    return [ours, theirs, bare]


def scoring(rows: int, peer_rows: int, rounds: int, work: Path) -> Iterator[Row]:
    """From the start of the scorer to its end, pictures aside."""
    say(f"\nscoring {rows} exact-matching rows")
    table, cache = tables.references(rows), work / "cache-scoring"
    ours = []
    with stub(0.0, 512) as referee:
        for _ in range(rounds):
            result = contenders.assay(table, referee, work / "ours", cache)
            say(f"  Assay      N={rows}: {result.score_seconds:.2f} s")
            ours.append(result)
        lmu = work / "lmu-scoring"
        short = tables.references(peer_rows)
        theirs = contenders.peer(short, referee, work / "peer", peer_rows, lmu)
        say(f"  VLMEvalKit N={peer_rows}: {theirs.score_seconds:.2f} s")
    seconds = median(ours, "score_seconds")
    yield Row(f"scoring {rows} rows", seconds, "s", "≤ 8", seconds <= 8)
    mine = 1000 * seconds / rows
    yield Row("  a row", mine, "ms", "", met=True)
    per = 1000 * (theirs.score_seconds or 0) / peer_rows
    yield Row(f"  a row, VLMEvalKit at N={peer_rows}", per, "ms", "", met=True)


def machine() -> str:
    name = "unknown processor"
    with Path("/proc/cpuinfo").open() as stream:
        for line in stream:
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores of {name}, Python {platform.python_version()}, Linux {platform.release()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sides", type=int, nargs="*", default=[256, 1024])
    parser.add_argument(
        "--peer-rows", type=int, help="default: 2000 at 256², 100 above"
    )
    parser.add_argument("--scoring-rows", type=int, default=16000)
    parser.add_argument("--json", type=Path, help="every single result goes there")
    arguments = parser.parse_args()
    say(f"{time.strftime('%Y-%m-%d', time.gmtime())}, {machine()}")
    report: list[Row] = []
    every: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as name:
        for side in arguments.sides:
            work = Path(name) / str(side)
            work.mkdir()
            peer_rows = arguments.peer_rows or (ROWS if side < 1024 else 100)
            found = section(side, arguments.rounds, peer_rows, work)
            every[str(side)] = asdict(found)
            report += found.rows()
        if arguments.scoring_rows:
            rows = arguments.scoring_rows
            report += scoring(rows, min(rows, 2000), arguments.rounds, Path(name))
    say("\nmedians")
    for row in report:
        say(str(row))
    if arguments.json:
        arguments.json.write_text(json.dumps(every, indent=1))
    sys.exit(0 if all(row.met for row in report) else 1)


if __name__ == "__main__":
    main()
