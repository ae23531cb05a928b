"""A run that inferred is scored later: in its own folder, without asking, with the bytes of `mode: all`."""

import json

import pytest

from support.local_runs import (
    DATASET,
    MODEL,
    kill,
    processes_of,
    report,
    reproducible,
    until,
)

pytestmark = pytest.mark.e2e

COUNT = 60


@pytest.fixture
def clean(desk, stub, tmp_path):
    """The files of a run that asked and scored at once."""
    assert desk(count=COUNT).run(tmp_path / "clean").returncode == 0
    stub.asked.clear()
    stub.answered.clear()
    return reproducible(tmp_path / "clean")


@pytest.fixture
def in_mode(desk):
    """A user whose file has this mode and these other changes."""

    def user(mode, **changes):
        return desk(count=COUNT, eval_config={"mode": mode}, **changes)

    return user


@pytest.fixture
def inferred(in_mode, stub, tmp_path):
    """The folder of a run that only inferred; what is asked from now on is counted anew."""
    done = in_mode("infer").run(tmp_path / "run")
    assert done.returncode == 0, done.stderr
    stub.asked.clear()
    stub.answered.clear()
    return tmp_path / "run"


def _scored(done, run_dir, clean):
    assert done.returncode == 0, done.stderr
    assert reproducible(run_dir) == clean
    (task,) = report(run_dir)["tasks"]
    assert (task["state"], task["counts"]["scored"]) == ("COMPLETE", COUNT)
    assert f"{MODEL}/{MODEL}_{DATASET}_acc.csv" in task["files"]


def test_assay_score_scores_what_was_inferred_and_asks_nothing(
    clean, inferred, in_mode, stub
):
    user = in_mode("infer")
    _scored(user.assay("score", inferred), inferred, clean)
    assert not stub.asked
    assert report(inferred)["settings"]["mode"] == "eval"


@pytest.mark.parametrize(
    "changes", [{}, {"eval_config": {"mode": "eval", "reuse": False}}]
)
def test_mode_eval_with_use_cache_scores_what_was_inferred(
    clean, inferred, desk, stub, changes
):
    changes = {"eval_config": {"mode": "eval"}, **changes}
    user = desk(count=COUNT, use_cache=str(inferred), **changes)
    _scored(user.assay("run", user.file), inferred, clean)
    assert not stub.asked


def test_mode_eval_takes_the_named_folder(clean, inferred, in_mode, stub):
    _scored(in_mode("eval").run(inferred), inferred, clean)
    assert not stub.asked


def test_mode_eval_with_resume_takes_the_newest_equal_run(clean, in_mode, stub):
    user = in_mode("infer")
    assert user.assay("run", user.file).returncode == 0
    (folder,) = (user.folder / "outputs").iterdir()
    stub.asked.clear()
    user = in_mode("eval")
    _scored(user.assay("run", user.file, "--resume"), folder, clean)
    again = user.assay("run", user.file, "--resume")
    _scored(again, folder, clean)
    assert not stub.asked


def test_mode_all_goes_on_with_a_run_that_inferred(clean, inferred, desk, stub):
    user = desk(count=COUNT, use_cache=str(inferred), eval_config={"reuse": True})
    _scored(user.assay("run", user.file), inferred, clean)
    assert not stub.asked


def test_scoring_again_and_inferring_again_change_nothing(
    clean, inferred, in_mode, stub
):
    user = in_mode("infer")
    for arguments in (
        ("score", inferred),
        ("score", inferred),
        ("run", user.file, "--run-dir", inferred, "--resume"),
    ):
        _scored(user.assay(*arguments), inferred, clean)
    assert not stub.asked


@pytest.mark.parametrize("role", ["scorer", "aggregator", "everything"])
def test_a_kill_while_it_is_scored_changes_nothing(
    clean, inferred, in_mode, stub, role
):
    user = in_mode("eval")
    process = user.start("run", user.file, "--run-dir", inferred)
    until(lambda: processes_of(inferred, "scorer"), "a scorer")
    victims = processes_of(inferred, "" if role == "everything" else role)
    for pid in [process.pid, *victims] if role == "everything" else victims:
        kill(pid)
    process.communicate(timeout=60)
    until(lambda: not processes_of(inferred), "all processes gone", 10)
    done = user.run(inferred, "--resume")
    _scored(done, inferred, clean)
    assert not stub.asked


def test_a_run_killed_while_it_inferred_is_reported_as_incomplete_and_finished_later(
    clean, in_mode, stub, tmp_path
):
    run_dir, user = tmp_path / "run", in_mode("infer")
    stub.delay = 0.05
    process = user.start("run", user.file, "--run-dir", run_dir)
    until(lambda: sum(stub.answered.values()) >= COUNT // 3, "a third answered")
    for pid in (process.pid, *processes_of(run_dir)):
        kill(pid)
    process.communicate()
    until(lambda: not processes_of(run_dir), "all processes gone", 10)
    stub.delay, asked = 0.0, sum(stub.asked.values())
    done = in_mode("eval").run(run_dir)
    assert done.returncode == 1
    assert f"of {COUNT} samples of {MODEL}/{DATASET} have no answer" in done.stderr
    assert "mode: all" in done.stderr
    assert sum(stub.asked.values()) == asked
    assert in_mode("infer").run(run_dir, "--resume").returncode == 0
    _scored(user.assay("score", run_dir), run_dir, clean)


def test_failed_samples_stay_unscored_until_a_retry_asks_them(
    clean, in_mode, stub, tmp_path
):
    run_dir = tmp_path / "run"
    stub.status = lambda sample: 400 if sample < 3 else 200
    user = in_mode("infer")
    assert user.run(run_dir).returncode == 3
    stub.status = lambda _: 200
    stub.asked.clear()
    done = user.assay("score", run_dir)
    assert done.returncode == 3, done.stderr
    assert not stub.asked
    assert report(run_dir)["tasks"][0]["counts"]["scored"] == COUNT - 3
    assert f"assay retry {run_dir}" in done.stderr
    _scored(user.assay("retry", run_dir), run_dir, clean)
    assert set(stub.asked) == {0, 1, 2}


def test_what_was_inferred_is_scored_after_the_cache_was_emptied(
    clean, inferred, in_mode, stub, tmp_path
):
    user = in_mode("eval")
    user.environ["ASSAY_CACHE"] = str(tmp_path / "another cache")
    _scored(user.run(inferred), inferred, clean)
    assert not stub.asked


def test_mode_eval_without_an_earlier_run_is_a_config_error(in_mode):
    user = in_mode("eval")
    done = user.assay("run", user.file)
    assert done.returncode == 2
    assert "error: eval_config.mode: eval scores answers that are there" in done.stderr
    assert "use_cache" in done.stderr
    assert not (user.folder / "outputs").exists()


def test_a_folder_of_vlmevalkits_own_files_is_refused_by_name(in_mode, tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "m_d.xlsx").touch()
    done = in_mode("eval").assay("score", tmp_path / "theirs")
    assert done.returncode == 2
    assert "m_d.xlsx is a file of VLMEvalKit's" in done.stderr


def test_another_limit_is_refused_by_name(inferred, in_mode, desk):
    user = desk(count=COUNT, eval_config={"mode": "eval", "limit": 5})
    done = user.run(inferred)
    assert done.returncode == 2
    assert "limit differs" in done.stderr


def test_resuming_a_run_below_its_coverage_asks_at_once(in_mode, stub, tmp_path):
    stub.status = lambda sample: 400 if sample < 3 else 200
    user = in_mode("all")
    assert user.run(tmp_path / "run").returncode == 3
    stub.status = lambda _: 200
    done = user.run(tmp_path / "run", "--resume")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in _log(tmp_path / "run")]
    last = max(n for n, line in enumerate(lines) if line["event"] == "run opened")
    assert [e["event"] for e in lines[last:]].count("run finished") == 2


def _log(run_dir):
    return (run_dir / "logs" / "aggregator.log").read_text().splitlines()
