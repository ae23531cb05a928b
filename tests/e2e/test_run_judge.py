"""`assay run` with a judge model: who is asked what, what is kept, and how a run ends without one."""

import json

import pytest

from support.judge_endpoint import judge_endpoint, sensible
from support.judged_runs import judged, kept, table, vague, write_table
from support.judged_tables import JUDGED
from support.local_runs import report

pytestmark = pytest.mark.e2e


@pytest.fixture
def judge():
    with judge_endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def asked(desk, stub, judge):
    """A desk whose model often says what only a judge can read."""
    stub.reply = vague
    prices = {"judge_prompt_price": 2.0, "judge_completion_price": 8}
    return desk(count=24, eval_config=judged(judge), endpoint_patience=1.0, **prices)


def _clean(user, tmp_path):
    assert user.run(tmp_path / "clean").returncode == 0
    return kept(tmp_path / "clean")


def test_a_judge_decides_what_rules_cannot_read(asked, judge, tmp_path):
    done = asked.run(tmp_path / "run")
    assert done.returncode == 0, done.stderr
    found = report(tmp_path / "run")
    (task,) = found["tasks"]
    told = task["judge"]
    assert (told["name"], told["model"]) == ("judge-1", "judge-1")
    assert told["api_base"] == f"{judge.base}/chat/completions"
    assert len(told["prompts"]) == 64
    assert told["upstream"]
    assert task["counts"]["scored"] == 24
    assert set(judge.bodies.values()) == {1}
    used = found["settings"]["judge"]["used"]
    assert (used["answers"], used["failures"]) == (len(judge.bodies), 0)
    assert used["cost"] == pytest.approx(len(judge.bodies) * (10 * 2 + 2 * 8) / 1e6)
    heard = table(tmp_path / "run", ".judge.parquet")
    assert {json.loads(body)["model"] for body in heard["request"]} == {"judge-1"}
    assert len(heard) == 8


def test_the_page_shows_what_the_judge_was_asked_and_what_it_replied(
    asked, judge, tmp_path
):
    done = asked.run(tmp_path / "run")
    assert done.returncode == 0
    said = f"judge judge-1: judge-1 at {judge.base}/chat/completions"
    assert said in " ".join(done.stdout.split())
    page = (tmp_path / "run/report.html").read_text()
    assert f"judge-1 (judge-1 at {judge.base}/chat/completions)" in page
    assert page.count("asked: You are an AI assistant who will help me") == 8
    assert "replied: " in page


def test_a_dataset_that_only_a_judge_scores_is_scored(desk, stub, judge, tmp_path):
    vet = JUDGED["MMVet"]
    source = write_table(tmp_path / "MMVet.tsv", vet.columns)
    stub.reply = lambda number: vet.answers[number]
    settings = judged(judge, data=["MMVet"])
    user = desk(dataset_sources=source, eval_config=settings)
    done = user.run(tmp_path / "run")
    assert done.returncode == 0, done.stderr
    (task,) = report(tmp_path / "run")["tasks"]
    assert task["counts"]["scored"] == len(vet.answers)
    heard = table(tmp_path / "run", ".judge.parquet", "MMVet")
    grades = table(tmp_path / "run", dataset="MMVet")["score"]
    replies = [sensible(json.loads(body)) for body in heard["request"]]
    assert list(grades) == [float(reply) for reply in replies]


def test_a_judge_that_does_not_answer_is_found_out_before_any_inference(
    asked, stub, judge, tmp_path
):
    config = json.loads(asked.file.read_text())
    config["eval_config"]["judge_base_url"] = "http://127.0.0.1:9/v1"
    asked.file.write_text(json.dumps(config))
    done = asked.run(tmp_path / "run")
    assert done.returncode == 2
    assert "--no-preflight" in done.stderr
    assert stub.requests == 0
    assert not (tmp_path / "run").exists()


def test_a_dead_judge_stops_no_inference_and_the_run_goes_on_once_it_is_back(
    asked, stub, judge, tmp_path
):
    clean = _clean(asked, tmp_path)
    answered, requests = len(judge.bodies), stub.requests
    judge.refuses = 401
    done = asked.run(tmp_path / "run", "--no-preflight")
    assert done.returncode == 1
    assert "the judge is unusable" in done.stderr
    assert stub.requests == 2 * requests
    judge.refuses = 0
    done = asked.run(tmp_path / "run", "--resume")
    assert done.returncode == 0, done.stderr
    assert stub.requests == 2 * requests
    assert kept(tmp_path / "run") == clean
    assert len(judge.bodies) == answered


def test_what_the_judge_failed_at_is_unscored_and_a_retry_asks_that_alone(
    asked, stub, judge, tmp_path
):
    clean = _clean(asked, tmp_path)
    requests, bodies = stub.requests, [*judge.bodies]
    judge.bodies.clear()
    failing = set(bodies[: max(1, len(bodies) // 3)])
    judge.reply = lambda body: (
        500 if json.dumps(body, sort_keys=True) in failing else sensible(body)
    )
    assert asked.run(tmp_path / "run").returncode == 3
    (task,) = report(tmp_path / "run")["tasks"]
    unscored = task["counts"]["unscored_by_reason"]["judge_failed"]
    assert 0 < unscored < 24
    judge.reply = sensible
    done = asked.assay("retry", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert kept(tmp_path / "run") == clean
    assert stub.requests == 2 * requests
    assert all(judge.bodies[body] == 1 for body in bodies if body not in failing)


def test_replies_that_nobody_can_read_are_asked_again_by_a_retry(
    asked, judge, tmp_path
):
    clean = _clean(asked, tmp_path)
    judge.reply = lambda _body: "no idea"
    assert asked.run(tmp_path / "run").returncode == 3
    (task,) = report(tmp_path / "run")["tasks"]
    assert task["counts"]["unscored_by_reason"] == {"judge_unparseable": 8}
    judge.reply = sensible
    assert asked.assay("retry", tmp_path / "run").returncode == 0
    assert kept(tmp_path / "run") == clean


def test_a_run_is_scored_later_by_a_judge_whose_key_only_the_file_has(
    desk, stub, judge, tmp_path
):
    stub.reply, judge.key = vague, "a-key-of-the-judge"
    settings = judged(judge, mode="infer", judge_key=judge.key)
    user = desk(count=24, eval_config=settings)
    assert user.run(tmp_path / "run").returncode == 0
    done = user.assay("score", tmp_path / "run")
    assert (done.returncode, "does not answer" in done.stderr) == (2, True)
    done = user.assay("score", tmp_path / "run", user.file)
    assert done.returncode == 0, done.stderr
    assert report(tmp_path / "run")["tasks"][0]["counts"]["scored"] == 24
    kept_files = [p for p in (tmp_path / "run").rglob("*") if p.is_file()]
    assert not [p for p in kept_files if judge.key.encode() in p.read_bytes()]
