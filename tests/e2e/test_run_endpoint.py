"""Endpoints that fail: for some samples, for all, for a while."""

import json
import time

import pytest

from support.local_runs import report, reproducible, until
from support.stub_endpoint import StubEndpoint

pytestmark = pytest.mark.e2e


AGAIN = {
    "retry": lambda user, run_dir: user.assay("retry", run_dir),
    "resume": lambda user, run_dir: user.run(run_dir, "--resume"),
}


@pytest.fixture
def clean(desk, stub, tmp_path):
    """The files of an undisturbed run of 30 samples."""
    assert desk(count=30).run(tmp_path / "clean").returncode == 0
    stub.asked.clear()
    return reproducible(tmp_path / "clean")


@pytest.mark.parametrize("again", AGAIN)
def test_what_is_unscored_is_asked_again_once_the_endpoint_is_mended(
    desk, stub, tmp_path, clean, again
):
    user, run_dir = desk(count=30), tmp_path / "run"
    stub.status = lambda sample: 400 if sample % 5 == 0 else 200
    below = user.run(run_dir)
    assert below.returncode == 3
    assert "assay retry" in below.stderr
    task = report(run_dir)["tasks"][0]
    assert task["counts"]["unscored_by_reason"] == {"request_rejected": 6}
    (overall, *_) = task["metrics"]
    assert overall["value"] is None
    assert overall["bounds"][1] - overall["bounds"][0] == pytest.approx(6 / 30)
    assert overall["upstream_value"] == overall["bounds"][0]
    stub.status = lambda _: 200
    stub.asked.clear()
    done = AGAIN[again](user, run_dir)
    assert done.returncode == 0, done.stderr
    assert sorted(stub.asked) == [0, 5, 10, 15, 20, 25]
    assert reproducible(run_dir) == clean


def test_a_threshold_lets_a_score_stand_on_fewer_samples(desk, stub, tmp_path):
    stub.status = lambda sample: 400 if sample == 3 else 200
    done = desk(count=20, coverage_threshold=0.9).run(tmp_path / "run")
    assert done.returncode == 0, done.stderr
    task = report(tmp_path / "run")["tasks"][0]
    assert (task["counts"]["scored"], bool(task["metrics"])) == (19, True)


def test_a_dead_endpoint_is_said_at_once_and_its_samples_stay_pending(
    desk, stub, tmp_path, clean
):
    stub.go()
    user, run_dir = desk(count=30, endpoint_patience=3), tmp_path / "run"
    began = time.monotonic()
    done = user.run(run_dir)
    assert done.returncode == 1
    assert time.monotonic() - began < 30
    assert "notice: the endpoint of model stub is unusable" in done.stderr
    assert "start it anew: assay run" in done.stderr
    counts = report(run_dir)["tasks"][0]["counts"]
    assert (counts["scored"], counts["unscored_by_reason"]) == (0, {})
    stub.come()
    assert user.run(run_dir, "--resume").returncode == 0
    assert reproducible(run_dir) == clean


def test_an_endpoint_that_comes_back_in_time_costs_nothing(desk, stub, tmp_path, clean):
    stub.go()
    user = desk(count=30, endpoint_patience=60)
    process = user.start("run", user.file, "--run-dir", tmp_path / "run")
    log = tmp_path / "run" / "logs" / "infer-stub.log"
    until(log.exists, "the worker's start")
    time.sleep(1.0)
    stub.come()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert reproducible(tmp_path / "run") == clean


def test_a_refused_key_is_no_samples_failure(desk, stub, tmp_path):
    stub.status = lambda _: 401
    done = desk(count=10, endpoint_patience=1).run(tmp_path / "run")
    assert done.returncode == 1
    assert report(tmp_path / "run")["tasks"][0]["counts"]["unscored"] == 0


def test_a_model_that_answered_is_asked_elsewhere_only_where_it_is_said_to_be_the_same(
    desk, stub, tmp_path, clean
):
    user, run_dir = desk(count=30), tmp_path / "run"
    stub.status = lambda sample: 400 if sample == 3 else 200
    assert user.run(run_dir).returncode == 3
    with StubEndpoint() as elsewhere:
        document = json.loads(user.file.read_text())
        document["eval_config"]["model"][0]["api_base"] = elsewhere.url
        user.file.write_text(json.dumps(document))
        refused = user.run(run_dir, "--resume")
        assert refused.returncode == 2
        assert "endpoint_moved: true" in refused.stderr
        assert not elsewhere.asked
        user.file.write_text(json.dumps({**document, "endpoint_moved": True}))
        assert user.run(run_dir, "--resume").returncode == 0
        assert list(elsewhere.asked) == [3]
    assert reproducible(run_dir) == clean
