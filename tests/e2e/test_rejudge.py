"""`assay rejudge`: another judge reads the same answers, no model is asked, and both results stay."""

from __future__ import annotations

import json

import pytest

from support.judge_endpoint import judge_endpoint, sensible
from support.judged_runs import judged, kept, table, vague
from support.local_runs import report

pytestmark = pytest.mark.e2e
COUNT = 24


@pytest.fixture
def judge():
    with judge_endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def first(desk, stub, judge, tmp_path):
    """A run that ended, its desk, and what was asked for it."""
    stub.reply = vague
    user = desk(count=COUNT, eval_config=judged(judge))
    assert user.run(tmp_path / "first").returncode == 0
    return user, tmp_path / "first"


def by(judge, name="judge-2"):
    return ["--judge", name, "--judge-base-url", judge.base]


def other(body):
    """A judge that thinks otherwise of every second question."""
    text = sensible(body)
    return "B" if text != "B" and len(json.dumps(body)) % 2 else text


def test_another_judge_reads_the_same_answers_and_the_model_is_asked_nothing(
    first, stub, judge, tmp_path
):
    user, folder = first
    before, asked = kept(folder), stub.requests
    judge.reply = other
    done = user.assay("rejudge", folder, *by(judge), "--run-dir", tmp_path / "second")
    assert done.returncode == 0, done.stderr
    assert (stub.requests, kept(folder)) == (asked, before)
    (task,) = report(tmp_path / "second")["tasks"]
    assert (task["judge"]["name"], task["counts"]["scored"]) == ("judge-2", COUNT)
    said = [
        table(each)["prediction"].tolist() for each in (folder, tmp_path / "second")
    ]
    assert said[0] == said[1]
    assert "Cohen's kappa" in done.stdout


def test_agreement_is_told_sample_by_sample(first, judge, tmp_path):
    user, folder = first
    done = user.assay("rejudge", folder, *by(judge), "--run-dir", tmp_path / "second")
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "second/agreement.json").read_text())
    (dataset,) = document["pairs"][0]["datasets"]
    found = dataset["agreement"]
    assert (found["same_score"], found["cohens_kappa"]) == (COUNT, 1.0)


def test_the_same_judge_again_is_refused(first, judge):
    user, folder = first
    done = user.assay("rejudge", folder, *by(judge, "judge-1"))
    assert done.returncode == 2
    assert "is the judge it had" in done.stderr


def test_exact_matching_takes_a_judges_place_and_asks_nobody(first, judge, tmp_path):
    user, folder = first
    bodies = sum(judge.bodies.values())
    exact = ["--judge", "exact_matching", "--run-dir", tmp_path / "second"]
    done = user.assay("rejudge", folder, *exact)
    assert done.returncode == 0, done.stderr
    (task,) = report(tmp_path / "second")["tasks"]
    assert task["judge"]["name"] == "exact_matching"
    assert sum(judge.bodies.values()) == bodies


def test_a_judge_that_does_not_answer_is_refused_before_a_folder_is_made(
    first, judge, tmp_path
):
    user, folder = first
    judge.refuses = 401
    done = user.assay("rejudge", folder, *by(judge), "--run-dir", tmp_path / "second")
    assert done.returncode == 2
    assert not (tmp_path / "second").exists()
