"""Whatever of a judged run is killed: the same bytes, and no answer that was acknowledged is paid again."""

import os
from pathlib import Path

import pytest

from support.judge_endpoint import judge_endpoint, sensible
from support.judged_runs import durable, judged, kept, number_of
from support.local_runs import kill, processes_of, until

pytestmark = pytest.mark.e2e

KILLS = int(os.environ.get("ASSAY_TEST_KILLS", "4"))
"""Of each part; more are asked for by name, since each costs a restart."""
COUNT = 15 * KILLS


@pytest.fixture
def judge():
    with judge_endpoint() as endpoint:
        yield endpoint


def _vague(number):
    return f"It might be the one I saw, or {number}"


def _judge_workers(run_dir):
    """Workers of the judge's queue: its log is one of their files."""
    logs = run_dir / "logs" / "judge.log"
    return [
        pid
        for pid in processes_of(run_dir, "infer")
        if any(str(target) == str(logs) for target in _files(pid))
    ]


def _files(pid):
    return [fd.readlink() for fd in Path(f"/proc/{pid}/fd").iterdir()]


VICTIMS = {
    "scorer": lambda run_dir: processes_of(run_dir, "scorer"),
    "aggregator": lambda run_dir: processes_of(run_dir, "aggregator"),
    "the judge's worker": _judge_workers,
}


def _kill_again_and_again(run_dir, victims, before):
    """Each time after more answers; `before` gets the requests whose answer is in the store by then."""
    for _ in range(KILLS):
        known = len(durable(run_dir))
        until(lambda n=known: len(durable(run_dir)) > n, "more answers", 40)
        until(lambda: victims(run_dir), "there is something to kill")
        before |= durable(run_dir)
        for pid in victims(run_dir):
            kill(pid)


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_kill_costs_no_acknowledged_answer_and_changes_no_byte(
    desk, stub, judge, tmp_path, victim
):
    stub.reply = _vague
    user = desk(count=COUNT, eval_config=judged(judge, judge_api_nproc=2))
    assert user.run(tmp_path / "clean").returncode == 0
    run_dir, before, twice = tmp_path / "run", set(), []

    def reply(body):
        twice.extend({number_of(body)} & before)
        return sensible(body)

    judge.delay, judge.reply = 0.25, reply
    process = user.start("run", user.file, "--run-dir", run_dir)
    _kill_again_and_again(run_dir, VICTIMS[victim], before)
    judge.delay = 0.0
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err + out
    assert twice == []
    assert kept(run_dir) == kept(tmp_path / "clean")
