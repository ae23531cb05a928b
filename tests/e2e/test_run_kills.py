"""Twenty random SIGKILLs over worker, aggregator and scorer in a run of 2,000 samples."""

import random
import sys
import threading
import time

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


def test_twenty_kills_lose_nothing_double_nothing_and_ask_little_again(
    desk, stub, tmp_path, capsys
):
    user = desk(count=COUNT, eval_config={"nproc": IN_FLIGHT})
    assert user.run(tmp_path / "clean", timeout=120).returncode == 0
    stub.asked.clear()
    stub.delay = 0.08
    run_dir, kills, ended = tmp_path / "run", [], threading.Event()
    process = user.start("run", user.file, "--run-dir", run_dir)
    killer = threading.Thread(
        target=_kill_now_and_then,
        args=(run_dir, random.Random(7), stub, ended, kills),
    )
    killer.start()
    began = time.monotonic()
    _, err = process.communicate(timeout=300)
    ended.set()
    killer.join()
    assert process.returncode == 0, err
    table = pq.read_table(run_dir / "samples" / MODEL / f"{DATASET}.parquet")
    ids = table["sample_id"].to_pylist()
    lost = sum(prediction is None for prediction in table["prediction"].to_pylist())
    again = stub.requests - COUNT
    with capsys.disabled():
        by_role = {
            role: sum(r == role for r, _ in kills) for role in sorted(set(ROLES))
        }
        sys.stdout.write(
            f"\nkill test: {len(kills)} SIGKILLs {by_role} in {time.monotonic() - began:.1f} s: "
            f"lost {lost}, duplicated {len(ids) - len(set(ids))}, re-asked {again} of {COUNT}\n"
        )
    assert (lost, len(ids), len(set(ids))) == (0, COUNT, COUNT)
    assert len(kills) == KILLS
    # A killed worker loses what it had in flight and what the group commit had not stored yet.
    assert again <= KILLS * (IN_FLIGHT + 64)
    assert reproducible(run_dir) == reproducible(tmp_path / "clean")
