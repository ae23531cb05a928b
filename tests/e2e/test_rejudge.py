"""`assay rejudge`: another judge reads the same answers, no model is asked, and both results stay."""

from __future__ import annotations

import json

import pytest

from support.judge_endpoint import judge_endpoint, sensible
from support.judged_runs import judged, kept, table, vague, write_table
from support.judged_tables import JUDGED
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


def test_the_way_back_to_the_first_judge_ends_as_it_began(first, judge, tmp_path):
    user, folder = first
    there = user.assay("rejudge", folder, *by(judge), "--run-dir", tmp_path / "b")
    assert there.returncode == 0, there.stderr
    back = ["rejudge", tmp_path / "b", *by(judge, "judge-1"), "--run-dir"]
    done = user.assay(*back, tmp_path / "a")
    assert done.returncode == 0, done.stderr
    assert kept(tmp_path / "a") == kept(folder)


def test_a_run_that_rules_decided_is_read_by_a_judge_and_says_nothing_outdated(
    desk, stub, judge, tmp_path
):
    stub.reply = vague
    user = desk(count=COUNT, eval_config={"judge": None})
    assert user.run(tmp_path / "rules").returncode == 0
    assert any("No judge is named" in n for n in report(tmp_path / "rules")["notes"])
    done = user.assay(
        "rejudge", tmp_path / "rules", *by(judge), "--run-dir", tmp_path / "judged"
    )
    assert done.returncode == 0, done.stderr
    notes = report(tmp_path / "judged")["notes"]
    assert not [note for note in notes if "No judge is named" in note]
    assert any("which exact_matching judged" in note for note in notes)


def test_what_only_a_judge_can_score_is_never_left_to_nobody(
    desk, stub, judge, tmp_path
):
    vet = JUDGED["MMVet"]
    source = write_table(tmp_path / "MMVet.tsv", vet.columns)
    stub.reply = lambda number: vet.answers[number]
    user = desk(dataset_sources=source, eval_config=judged(judge, data=["MMVet"]))
    assert user.run(tmp_path / "first").returncode == 0
    exact = ["--judge", "exact_matching", "--run-dir", tmp_path / "second"]
    done = user.assay("rejudge", tmp_path / "first", *exact)
    assert (done.returncode, "scored by one alone" in done.stderr) == (2, True)
    assert not (tmp_path / "second").exists()
