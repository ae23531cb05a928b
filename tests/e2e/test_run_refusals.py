"""What `assay run` refuses, at once and in words, before it asks anybody anything."""

import json

import pytest

from support.local_runs import kill, processes_of, until

pytestmark = pytest.mark.e2e


def test_a_bad_file_ends_with_2_naming_field_reason_and_cure(desk, stub, tmp_path):
    user = desk(eval_config={"nproc": "many", "mdoe": "all"})
    done = user.run(tmp_path / "run")
    assert done.returncode == 2
    assert "error: eval_config.nproc: " in done.stderr
    assert "error: eval_config.mdoe: " in done.stderr
    assert "cure: " in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
    assert stub.requests == 0


def test_a_file_that_is_not_there_ends_with_2(desk):
    done = desk().assay("run", "nowhere.yaml")
    assert done.returncode == 2
    assert "error: " in done.stderr
    assert "nowhere.yaml" in done.stderr


def test_a_folder_in_use_is_refused_with_the_cure(desk, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").touch()
    done = desk().run(tmp_path / "run")
    assert done.returncode == 2
    assert "not empty" in done.stderr
    assert "--resume" in done.stderr


def test_a_folder_that_cannot_be_made_is_named(desk):
    done = desk().run("/proc/nowhere/run")
    assert done.returncode == 1
    assert "error: cannot write the run's folder /proc/nowhere/run" in done.stderr
    assert "cure: " in done.stderr


def test_nothing_to_resume_is_said(desk, tmp_path):
    user = desk()
    done = user.assay("run", user.file, "--resume")
    assert done.returncode == 2
    assert "no unfinished run of this file" in done.stderr
    assert "no run in it" in user.run(tmp_path / "run", "--resume").stderr


def test_a_resume_with_another_spec_names_the_field(desk, tmp_path):
    user = desk(count=4)
    assert user.run(tmp_path / "run").returncode == 0
    document = json.loads(user.file.read_text())
    document["eval_config"]["model"][0]["temperature"] = 0.7
    user.file.write_text(json.dumps(document))
    done = user.run(tmp_path / "run", "--resume")
    assert done.returncode == 2
    assert "models.stub.decoding.temperature differs" in done.stderr


def test_a_dataset_that_cannot_be_used_fails_its_task_and_no_other(desk, tmp_path):
    user = desk(count=4)
    broken = user.folder / "Broken.tsv"
    broken.write_text("index\tquestion\n1\twhat?\n")
    document = json.loads(user.file.read_text())
    document["dataset_sources"]["Broken"] = {"path": str(broken)}
    document["eval_config"]["data"].append("Broken")
    user.file.write_text(json.dumps(document))
    done = user.run(tmp_path / "run")
    assert done.returncode == 1
    tasks = json.loads((tmp_path / "run" / "report.json").read_text())["tasks"]
    assert [t["state"] for t in tasks] == ["COMPLETE", "FAILED"]
    assert "Broken" in done.stderr


def test_a_run_that_is_live_says_who_holds_it(desk, stub, tmp_path):
    stub.delay = 0.2
    user = desk(count=60)
    first = user.start("run", user.file, "--run-dir", tmp_path / "run")
    until(stub.first_at.is_set, "the first request")
    second = user.run(tmp_path / "run", "--resume")
    assert second.returncode == 1
    assert f"process {first.pid} on" in second.stderr
    assert "go on with: " not in second.stderr
    assert first.wait(60) == 0
    first.communicate()


def test_no_process_outlives_a_driver_that_was_killed(desk, stub, tmp_path):
    stub.delay = 0.2
    user = desk(count=60)
    driver = user.start("run", user.file, "--run-dir", tmp_path / "run")
    until(stub.first_at.is_set, "the first request")
    assert len(processes_of(tmp_path / "run")) >= 3
    kill(driver.pid)
    driver.communicate()
    until(lambda: not processes_of(tmp_path / "run"), "all processes gone", 10)
