"""`assay run` from a file to its folder, undisturbed."""

import json
import sys

import pyarrow.parquet as pq
import pytest

from support.local_runs import DATASET, MODEL, report, reproducible

pytestmark = pytest.mark.e2e

COLUMNS = [
    *("sample_id", "state", "reason", "prediction", "target", "extracted", "score"),
    "category",
]


def test_a_run_leaves_report_tables_and_upstreams_files(desk, stub, tmp_path):
    done = desk(count=40).run(tmp_path / "run")
    assert done.returncode == 0, done.stderr
    task = report(tmp_path / "run")["tasks"][0]
    assert task["counts"]["total"] == task["counts"]["scored"] == 40
    assert task["coverage"] == 1.0
    table = pq.read_table(tmp_path / "run" / task["samples"])
    assert table.column_names == COLUMNS
    assert table["sample_id"].to_pylist() == [str(i) for i in range(40)]
    assert all(p.startswith("Answer: ") for p in table["prediction"].to_pylist())
    assert set(stub.asked.values()) == {1}


def test_mode_infer_leaves_predictions_and_no_score(desk, tmp_path):
    run_dir = tmp_path / "run"
    done = desk(count=12, eval_config={"mode": "infer"}).run(run_dir)
    assert done.returncode == 0, done.stderr
    task = report(run_dir)["tasks"][0]
    assert (task["state"], task["metrics"]) == ("COMPLETE", [])
    assert "mode infer" in task["withheld"]
    assert task["files"] == [f"{MODEL}/{MODEL}_{DATASET}.xlsx"]
    assert (run_dir / task["files"][0]).exists()
    table = pq.read_table(run_dir / task["samples"])
    assert set(table["state"].to_pylist()) == {"PREDICTED"}
    assert set(table["score"].to_pylist()) == {None}


def test_the_folder_holds_what_the_report_names(desk, tmp_path):
    run_dir = tmp_path / "run"
    assert desk(count=8).run(run_dir).returncode == 0
    task = report(run_dir)["tasks"][0]
    assert task["files"]
    for name in (*task["files"], task["samples"], "metrics.json", "logs"):
        assert (run_dir / name).exists(), name
    timing = run_dir / "samples" / MODEL / f"{DATASET}.timing.parquet"
    assert pq.read_table(timing)["attempts"].to_pylist() == [1] * 8


def test_the_table_is_on_standard_output_and_progress_is_not(desk, tmp_path):
    done = desk(count=8).run(tmp_path / "run")
    assert DATASET in done.stdout
    assert "exact matching" in done.stdout
    assert f"{MODEL}/{DATASET}: inferring" in done.stderr
    assert f"{MODEL}/{DATASET}" not in done.stdout.split("\n")[0]


def test_report_prints_the_table_again_and_json_prints_the_report(desk, tmp_path):
    user = desk(count=8)
    user.run(tmp_path / "run")
    again = user.assay("report", tmp_path / "run")
    assert (again.returncode, DATASET in again.stdout) == (0, True)
    as_json = user.assay("report", tmp_path / "run", "--json")
    assert json.loads(as_json.stdout) == report(tmp_path / "run")


def test_without_a_run_dir_a_new_folder_is_made_each_time(desk):
    user = desk(count=4)
    for _ in range(2):
        assert user.assay("run", user.file).returncode == 0
    folders = sorted((user.folder / "outputs").iterdir())
    assert len(folders) == 2
    assert reproducible(folders[0]) == reproducible(folders[1])


def test_a_script_gets_the_same_from_a_nested_dict(desk, tmp_path):
    user = desk(count=4)
    script = tmp_path / "script.py"
    script.write_text(
        "import json, sys\n"
        "from assay.local import run\n"
        f"document = json.load(open({str(user.file)!r}))\n"
        f"outcome = run(document, run_dir={str(tmp_path / 'run')!r})\n"
        "print(outcome.state.value, outcome.exit_code, outcome.report.exists())\n"
    )
    done = user.program(sys.executable, str(script))
    assert done.stdout.split() == ["COMPLETE", "0", "True"], done.stderr


def test_two_models_and_two_datasets_are_four_tasks(desk, stub, tmp_path):
    models = [
        {"type": kind, "name": "CustomAPIModel", "api_base": stub.url}
        for kind in ("one", "org/two")
    ]
    user = desk(count=6, eval_config={"model": models, "limit": 5})
    done = user.run(tmp_path / "run")
    assert done.returncode == 0, done.stderr
    tasks = report(tmp_path / "run")["tasks"]
    assert [(t["model"], t["counts"]["scored"]) for t in tasks] == [
        ("one", 5),
        ("two", 5),
    ]
