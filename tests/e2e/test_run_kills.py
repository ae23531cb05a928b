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
ROLES = ("infer", "aggregator", "infer", "aggregator", "scorer")


def _kill_now_and_then(run_dir, dice, stub, ended, kills):
    """SIGKILLs one process after the other; notes what may have to be asked again for it."""
    while len(kills) < KILLS and not ended.is_set():
        role = dice.choice(ROLES)
        pids = processes_of(run_dir, role)
        if pids:
            in_flight = stub.in_flight
            if kill(dice.choice(pids)):
                kills.append((role, in_flight))
        ended.wait(dice.uniform(0.1, 0.8))


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
    killer = threading.Thread(target=_kill_now_and_then, args=fire)
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
