"""What a judge may do wrong, row by row: no verdict is made up, and a retry mends the rest."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest

from support.judge_endpoint import judge_endpoint, sensible
from support.judged_runs import judged, kept, table, vague
from support.local_runs import Desk, report
from support.stub_endpoint import StubEndpoint

pytestmark = pytest.mark.e2e

COUNT = 24


@dataclass(frozen=True)
class Fault:
    """What the judge does, and how the run ends.

    Attributes:
        begin: has the judge misbehave from now on.
        ends: exit code of the run.
        reasons: those of samples without a verdict, where the run has a table.
        config: more of the file's eval_config.
        words: more words of the command.
    """

    begin: Any
    ends: int
    reasons: frozenset[str] = frozenset()
    config: dict[str, Any] = field(default_factory=dict)
    words: tuple[str, ...] = ()


def refusing(status, *, after=0):
    """Answers so many requests, then none: the endpoint as a whole is of no use."""

    def begin(judge):
        turns = count()

        def reply(body):
            if next(turns) + 1 >= after:
                judge.refuses = status
            return sensible(body)

        judge.reply, judge.refuses = reply, 0 if after else status

    return begin


def saying(what):
    """Says the same to everything."""

    def begin(judge):
        judge.reply = lambda _body: what

    return begin


def failing_of_ten(failing):
    """Fails so many of ten calls, in turn."""

    def begin(judge):
        turns = count()
        judge.reply = lambda body: (
            500 if next(turns) * 7 % 10 < failing else sensible(body)
        )

    return begin


def hurried(judge):
    """Has no time for a request at first, and says when it will have."""
    seen = set()

    def reply(body):
        text = str(body)
        if text in seen:
            return sensible(body)
        seen.add(text)
        return 429

    judge.headers, judge.reply = {"Retry-After": "1"}, reply


def slow(seconds):
    """Takes its time over everything."""

    def begin(judge):
        judge.delay = seconds

    return begin


GONE = ("--no-preflight",)
FAILED = frozenset({"judge_failed"})
FAULTS = {
    "dead from the start": Fault(refusing(503), 1, words=GONE),
    "unauthorized from the start": Fault(refusing(401), 1, words=GONE),
    "dies half-way": Fault(refusing(503, after=4), 1),
    "30 % of calls fail": Fault(failing_of_ten(3), 3, FAILED, {"judge_retry": 1}),
    "rubbish": Fault(saying("no idea"), 3, frozenset({"judge_unparseable"})),
    "empty": Fault(saying(""), 3, FAILED),
    "429 with Retry-After": Fault(hurried, 0),
    "hangs": Fault(slow(30.0), 3, FAILED, {"judge_timeout": 1, "judge_retry": 1}),
    "slow": Fault(slow(2.0), 0),
}


@pytest.fixture
def judge():
    with judge_endpoint() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def clean(tmp_path_factory, cache_dir):
    """The folder of the run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("clean")
    with StubEndpoint() as stub, judge_endpoint() as judge:
        stub.reply = vague
        settings = {"cache_dir": cache_dir, "eval_config": judged(judge)}
        user = Desk.set_up(folder / "desk", stub.url, count=COUNT, **settings)
        assert user.run(folder / "run").returncode == 0
        user.leave()
    return folder / "run"


@pytest.fixture
def say(capsys):
    """Shows a figure, whether or not a test fails."""

    def said(line):
        with capsys.disabled():
            sys.stdout.write(f"\n{line}")

    return said


@pytest.fixture(params=FAULTS)
def faulty(desk, stub, judge, request, say):
    """A run under one of the faults, ended as it should; its desk, its folder, and how it had to end."""
    fault, stub.reply = FAULTS[request.param], vague
    settings = judged(judge, **fault.config)
    user = desk(count=COUNT, eval_config=settings, endpoint_patience=1.0)
    fault.begin(judge)
    run_dir = user.folder / "run"
    began = time.monotonic()
    done = user.run(run_dir, *fault.words)
    took = time.monotonic() - began
    assert done.returncode == fault.ends, done.stderr
    found = len(verdicts(run_dir))
    say(f"judge {request.param}: {found}/{COUNT} verdicts in {took:.1f} s")
    return user, run_dir, fault


def verdicts(run_dir):
    """The score of every sample that has one; none where the run has no table."""
    try:
        found = table(run_dir)
    except FileNotFoundError:
        return {}
    scored = found[found["reason"].isna() | (found["reason"] == "")]
    return dict(zip(scored["sample_id"], scored["score"], strict=True))


def reasons(run_dir):
    """Why samples have none."""
    (task,) = report(run_dir)["tasks"]
    return set(task["counts"]["unscored_by_reason"])


def heal(judge):
    judge.reply, judge.refuses, judge.delay, judge.headers = sensible, 0, 0.0, {}


def test_no_verdict_is_made_up_and_a_retry_ends_as_the_clean_run(
    faulty, clean, stub, judge
):
    user, run_dir, fault = faulty
    assert verdicts(run_dir).items() <= verdicts(clean).items()
    if fault.reasons:
        assert reasons(run_dir) == fault.reasons
    heal(judge)
    if fault.ends:
        done = user.assay("retry", run_dir)
        assert done.returncode == 0, done.stderr
    assert kept(run_dir) == kept(clean)
    assert stub.requests == COUNT
