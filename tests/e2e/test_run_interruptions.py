"""A run that is stopped or killed goes on, asks nothing twice that was acknowledged, and ends the same."""

import os
import random
import signal
import time

import pytest

from support.local_runs import kill, processes_of, report, reproducible, until

pytestmark = pytest.mark.e2e

COUNT = 120


@pytest.fixture
def clean(desk, stub, tmp_path):
    """The files of an undisturbed run."""
    assert desk(count=COUNT).run(tmp_path / "clean").returncode == 0
    stub.asked.clear()
    stub.answered.clear()
    stub.first_at.clear()
    return reproducible(tmp_path / "clean")


@pytest.fixture
def started(desk, stub, tmp_path):
    """Starts the run slowly and returns once a third of it is answered."""

    def start():
        user = desk(count=COUNT)
        stub.delay = 0.05
        process = user.start("run", user.file, "--run-dir", tmp_path / "run")
        until(lambda: sum(stub.answered.values()) >= COUNT // 3, "a third answered")
        return user, process

    return start


def test_ctrl_c_drains_says_how_to_go_on_and_asks_nothing_twice(
    started, stub, tmp_path, clean
):
    user, process = started()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "stopping: " in err
    assert f"--run-dir {tmp_path / 'run'} --resume" in err
    assert processes_of(tmp_path / "run") == []
    assert sum(stub.asked.values()) < COUNT
    assert user.run(tmp_path / "run", "--resume").returncode == 0
    assert set(stub.asked.values()) == {1}
    assert reproducible(tmp_path / "run") == clean


def test_a_second_ctrl_c_ends_at_once(started, stub, tmp_path, clean):
    stub.delay = 0.05
    user, process = started()
    stub.delay = 30.0
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - began < 10
    stub.delay = 0.0
    assert user.run(tmp_path / "run", "--resume").returncode == 0
    assert reproducible(tmp_path / "run") == clean


def test_the_newest_unfinished_run_below_work_dir_is_resumed(desk, stub, clean):
    user = desk(count=COUNT)
    stub.delay = 0.05
    process = user.start("run", user.file)
    until(lambda: sum(stub.answered.values()) >= 20, "some answers")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert user.assay("run", user.file, "--resume").returncode == 0
    (folder,) = (user.folder / "outputs").iterdir()
    assert reproducible(folder) == clean


@pytest.mark.parametrize("seed", range(3))
def test_the_whole_tree_may_be_killed_at_any_moment(desk, stub, tmp_path, clean, seed):
    user, dice = desk(count=COUNT), random.Random(seed)
    stub.delay = 0.02
    process = user.start("run", user.file, "--run-dir", tmp_path / "run")
    until((tmp_path / "run" / ".assay" / "spec.json").exists, "the run's start")
    time.sleep(dice.uniform(0.0, 2.5))
    for pid in (process.pid, *processes_of(tmp_path / "run")):
        kill(pid)
    process.communicate()
    until(lambda: not processes_of(tmp_path / "run"), "all processes gone", 10)
    done = user.run(tmp_path / "run", "--resume")
    assert done.returncode == 0, done.stderr
    assert reproducible(tmp_path / "run") == clean


@pytest.mark.parametrize("role", ["infer", "aggregator", "dataset"])
def test_a_killed_process_is_replaced_and_nothing_is_lost(
    started, tmp_path, clean, role
):
    _, process = started()
    for pid in processes_of(tmp_path / "run", role):
        kill(pid)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert reproducible(tmp_path / "run") == clean


def test_a_killed_scorer_starts_over(desk, tmp_path, clean):
    user = desk(count=COUNT)
    process = user.start("run", user.file, "--run-dir", tmp_path / "run")
    for _ in range(3):
        until(lambda: processes_of(tmp_path / "run", "scorer"), "a scorer")
        for pid in processes_of(tmp_path / "run", "scorer"):
            kill(pid)
        time.sleep(0.05)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert reproducible(tmp_path / "run") == clean


def test_a_stopped_driver_answers_sigterm_as_ctrl_c(started, tmp_path):
    _, process = started()
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert not (tmp_path / "run" / "report.json").exists() or report(tmp_path / "run")


def test_a_dataset_service_killed_while_it_prepares_prepares_again(
    desk, stub, tmp_path, clean
):
    user = desk(count=COUNT)
    user.environ["ASSAY_CACHE"] = str(tmp_path / "cache")
    process = user.start("run", user.file, "--run-dir", tmp_path / "run")
    for _ in range(3):
        until(lambda: processes_of(tmp_path / "run", "dataset"), "a dataset service")
        time.sleep(0.5)
        for pid in processes_of(tmp_path / "run", "dataset"):
            kill(pid)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert reproducible(tmp_path / "run") == clean
