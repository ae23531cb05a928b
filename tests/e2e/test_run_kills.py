"""Twenty random SIGKILLs over worker, aggregator and scorer in a run of 2,000 samples."""

import random
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from support.local_runs import (
    DATASET,
    MODEL,
    kill,
    processes_of,
    reproducible,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

COUNT = 2000
KILLS = 20
IN_FLIGHT = 16
SCORER_KILLS = 3
SPACING = 80
"""Requests between two kills."""


def _kill_as_it_goes(run_dir, dice, stub, ended, kills):
    """SIGKILLs worker or aggregator every few dozen answers, then the scorer whenever one is there.

    Kills are spread over the answers and not over the clock: on a slow machine too every process comes
    back and gets something done before it is shot again.
    """
    for _ in range(KILLS - SCORER_KILLS):
        _wait_for(lambda seen=stub.requests: stub.requests - seen >= SPACING, ended)
        _kill_one(run_dir, dice.choice(("infer", "aggregator")), dice, stub, kills)
    for _ in range(SCORER_KILLS):
        _wait_for(lambda: processes_of(run_dir, "scorer"), ended)
        _kill_one(run_dir, "scorer", dice, stub, kills)


def _kill_one(run_dir, role, dice, stub, kills):
    while True:
        pids = processes_of(run_dir, role)
        in_flight = stub.in_flight
        if pids and kill(dice.choice(pids)):
            kills.append((role, in_flight))
            return
        time.sleep(0.01)


def _wait_for(condition, ended):
    while not ended.is_set() and not condition():
        ended.wait(0.01)


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
    run_dir, kills, ended = tmp_path / "run", [], threading.Event()
    process = user.start("run", user.file, "--run-dir", run_dir)
    fire = (run_dir, random.Random(7), stub, ended, kills)
    killer = threading.Thread(target=_kill_as_it_goes, args=fire)
    killer.start()
    began = time.monotonic()
    _, err = process.communicate(timeout=300)
    seconds = time.monotonic() - began
    ended.set()
    killer.join()
    return Disturbed(
        clean_dir=tmp_path / "clean",
        run_dir=run_dir,
        kills=kills,
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
    with capsys.disabled():
        sys.stdout.write(
            f"\nkill test: {len(disturbed.kills)} SIGKILLs {Counter(r for r, _ in disturbed.kills)} "
            f"in {disturbed.seconds:.1f} s: lost {lost}, duplicated {len(ids) - len(set(ids))}, "
            f"re-asked {again} of {COUNT}\n"
        )
    assert (lost, len(ids), len(set(ids))) == (0, COUNT, COUNT)
    assert len(disturbed.kills) == KILLS
    # A killed worker loses what it had in flight and what the group commit had not stored yet.
    assert again <= sum(in_flight + 64 for _, in_flight in disturbed.kills)
    assert reproducible(disturbed.run_dir) == reproducible(disturbed.clean_dir)
