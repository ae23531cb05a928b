"""Twenty random SIGKILLs over worker, aggregator and scorer in a run of 2,000 samples."""

import random
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from assay.store.segments import decode_segment
from support.local_runs import (
    DATASET,
    MODEL,
    kill,
    processes_of,
    reproducible,
)
from support.stub_endpoint import StubEndpoint

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

COUNT = 2000
KILLS = 20
IN_FLIGHT = 16
SCORER_KILLS = 3
SPACING = 80
"""Requests between two kills."""


@dataclass
class Shooter:
    """Sends the SIGKILLs; `kills` holds each one's role and the samples it put at risk."""

    run_dir: Path
    stub: StubEndpoint
    dice: random.Random
    ended: threading.Event = field(default_factory=threading.Event)
    kills: list[tuple[str, int]] = field(default_factory=list)

    def shoot(self):
        """Worker or aggregator every few dozen answers, then the scorer whenever one is there.

        Kills are spread over the answers and not over the clock: on a slow machine too every process
        comes back and gets something done before it is shot again.
        """
        for _ in range(KILLS - SCORER_KILLS):
            seen = self.stub.requests
            self._wait(lambda seen=seen: self.stub.requests - seen >= SPACING)
            self._kill(self.dice.choice(("infer", "aggregator")))
        for _ in range(SCORER_KILLS):
            self._kill("scorer")

    def _wait(self, holds):
        while not self.ended.is_set() and not holds():
            self.ended.wait(0.01)

    def _kill(self, role):
        """Kills a process of a role; a worker takes with it what was asked and is not durable."""
        self._wait(lambda: any(map(kill, processes_of(self.run_dir, role))))
        # Requests on their way arrive and commits under way end before a successor can start.
        self.ended.wait(0.3)
        asked = set(self.stub.asked) if role == "infer" else set()
        self.kills.append((role, len(asked - self._durable())))

    def _durable(self):
        """The ordinals that stand in segments."""
        return {
            placed.record.completion.ordinal
            for path in self.run_dir.glob(".assay/tasks/**/*.seg")
            for placed in decode_segment(path.read_bytes(), path.name).records
        }


@dataclass(frozen=True)
class Disturbed:
    """A run that was killed again and again, beside an undisturbed one."""

    clean_dir: Path
    run_dir: Path
    kills: list[tuple[str, int]]
    seconds: float
    requests: int
    code: int
    err: str


@pytest.fixture
def disturbed(desk, stub, tmp_path):
    """Runs once in peace, then once more under fire."""
    user = desk(count=COUNT, eval_config={"nproc": IN_FLIGHT})
    clean = user.run(tmp_path / "clean", timeout=120)
    assert clean.returncode == 0, clean.stderr
    stub.asked.clear()
    stub.delay = 0.08
    run_dir = tmp_path / "run"
    shooter = Shooter(run_dir, stub, random.Random(7))
    process = user.start("run", user.file, "--run-dir", run_dir)
    killer = threading.Thread(target=shooter.shoot)
    killer.start()
    began = time.monotonic()
    _, err = process.communicate(timeout=300)
    seconds = time.monotonic() - began
    shooter.ended.set()
    killer.join()
    return Disturbed(
        clean_dir=tmp_path / "clean",
        run_dir=run_dir,
        kills=shooter.kills,
        seconds=seconds,
        requests=stub.requests,
        code=process.returncode,
        err=err,
    )


def test_twenty_kills_lose_nothing_double_nothing_and_ask_little_again(
    disturbed, capsys
):
    assert disturbed.code == 0, disturbed.err
    path = disturbed.run_dir / "samples" / MODEL / f"{DATASET}.parquet"
    table = pq.read_table(path)
    ids = table["sample_id"].to_pylist()
    lost = sum(prediction is None for prediction in table["prediction"].to_pylist())
    again = disturbed.requests - COUNT
    at_risk = sum(unacknowledged for _, unacknowledged in disturbed.kills)
    with capsys.disabled():
        sys.stdout.write(
            f"\nkill test: {len(disturbed.kills)} SIGKILLs {Counter(r for r, _ in disturbed.kills)} "
            f"in {disturbed.seconds:.1f} s: lost {lost}, duplicated {len(ids) - len(set(ids))}, "
            f"re-asked {again} of {COUNT} (not acknowledged at the kills: {at_risk})\n"
        )
    assert (lost, len(ids), len(set(ids))) == (0, COUNT, COUNT)
    assert len(disturbed.kills) == KILLS
    assert again <= at_risk
    assert reproducible(disturbed.run_dir) == reproducible(disturbed.clean_dir)
