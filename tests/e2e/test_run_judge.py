"""`assay run` with a judge model: who is asked what, what is kept, and how a run ends without one."""

import json

import pandas as pd
import pytest

from support.judge_endpoint import judge_endpoint
from support.local_runs import DATASET, MODEL, report

pytestmark = pytest.mark.e2e


@pytest.fixture
def judge():
    with judge_endpoint() as endpoint:
        yield endpoint


def judged(judge, **more):
    """What a file says to have this endpoint judge."""
    base = {"judge": "judge-1", "judge_base_url": judge.base, "judge_api_nproc": 4}
    return {**base, "judge_retry": 2, **more}


def samples(run_dir, ending=".parquet"):
    return pd.read_parquet(run_dir / "samples" / MODEL / f"{DATASET}{ending}")


def vague(number):
    """An answer that only a judge can read, of every third sample."""
    return "I would say the first thing" if number % 3 == 0 else "ABCD"[number % 4]


def test_a_judge_decides_what_rules_cannot_read(desk, stub, judge, tmp_path):
    stub.reply = vague
    user = desk(count=12, eval_config=judged(judge))
    done = user.run(tmp_path / "run")
    assert done.returncode == 0, done.stderr
    (task,) = report(tmp_path / "run")["tasks"]
    assert task["judge"]["name"] == "judge-1"
    assert task["counts"]["scored"] == 12
    assert set(judge.bodies.values()) == {1}
    assert len(judge.bodies) == 4
    asked = samples(tmp_path / "run", ".judge.parquet")
    assert [json.loads(body)["model"] for body in asked["request"]] == ["judge-1"] * 4
