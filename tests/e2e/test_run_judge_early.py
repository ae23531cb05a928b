"""Judging goes on while inference does, and what it brings is what a judge asked at the end would say."""

import pytest

from support.judge_endpoint import judge_endpoint, sensible
from support.judged_runs import judged, kept, vague
from support.local_runs import report

pytestmark = pytest.mark.e2e


@pytest.fixture
def judge():
    with judge_endpoint() as endpoint:
        yield endpoint


def test_the_judge_is_asked_while_the_model_still_is(desk, stub, judge, tmp_path):
    moments = []

    def reply(body):
        moments.append(stub.requests)
        return sensible(body)

    stub.reply, stub.delay, judge.reply = vague, 0.4, reply
    user = desk(count=60, eval_config=judged(judge, nproc=2))
    done = user.run(tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert stub.requests == 60
    assert min(moments) < 60
    assert set(judge.bodies.values()) == {1}
    (task,) = report(tmp_path / "run")["tasks"]
    assert task["counts"]["scored"] == 60
    stub.delay, judge.reply = 0.0, sensible
    assert user.run(tmp_path / "quick").returncode == 0
    assert kept(tmp_path / "run") == kept(tmp_path / "quick")
