"""`assay run` on collections, on datasets without answers, and under names that changed."""

import hashlib
import json

import pandas as pd
import pytest

from assay.domain import catalog
from support.local_runs import MODEL, report, write_dataset

pytestmark = pytest.mark.e2e

MEMBERS = catalog.lookup("MMMB").members


def _source(folder, name, **cells):
    """A file under an official name, more `cells` in every row, and the digest it has."""
    path = write_dataset(folder / f"{name}.tsv", 4)
    table = pd.read_csv(path, sep="\t").assign(**cells)
    table.to_csv(path, sep="\t", index=False)
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    return {name: {"path": str(path), "md5": md5}}


def _tasks(run_dir):
    return {task["dataset"]: task for task in report(run_dir)["tasks"]}


def test_a_collection_and_a_dataset_without_answers_are_both_complete(desk, tmp_path):
    names = ["MMMB", "MMMU_TEST", "A-Bench_TEST"]
    sources = _source(tmp_path, "A-Bench_TEST") | _source(tmp_path, "MMMU_TEST", id="x")
    for member in MEMBERS:
        sources |= _source(tmp_path, member)
    user = desk(eval_config={"data": names}, dataset_sources=sources)
    done = user.run(tmp_path / "run", timeout=110)
    assert done.returncode == 0, done.stderr
    tasks = _tasks(tmp_path / "run")
    assert {task["state"] for task in tasks.values()} == {"COMPLETE"}
    assert tasks["MMMB"]["counts"]["scored"] == 24
    assert f"{MODEL}/{MODEL}_MMMB_acc.csv" in tasks["MMMB"]["files"]
    for name in names[1:]:
        assert tasks[name]["metrics"] == []
        assert tasks[name]["withheld"].startswith("no score: ")
        assert tasks[name]["counts"]["predicted"] == 4
    assert f"{MODEL}/{MODEL}_MMMU_TEST.json" in tasks["MMMU_TEST"]["files"]


def test_a_dataset_without_answers_lacks_coverage_when_predictions_failed(
    desk, stub, tmp_path
):
    stub.status = lambda number: 400 if number == 2 else 200
    sources = _source(tmp_path, "A-Bench_TEST")
    user = desk(eval_config={"data": ["A-Bench_TEST"]}, dataset_sources=sources)
    assert user.run(tmp_path / "run").returncode == 3
    task = _tasks(tmp_path / "run")["A-Bench_TEST"]
    assert task["state"] == "BELOW_COVERAGE"
    assert task["counts"]["unscored_by_reason"] == {"request_rejected": 1}


def test_two_models_share_one_preparation(desk, stub, tmp_path):
    model = {"name": "CustomAPIModel", "api_base": stub.url, "wait": 0.01}
    models = [model | {"type": name} for name in ("one", "two")]
    user = desk(count=6, eval_config={"model": models})
    done = user.run(tmp_path / "run")
    assert done.returncode == 0, done.stderr
    (log,) = (tmp_path / "run" / "logs").glob("dataset*")
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert events.count("dataset prepared") <= 1
    tasks = report(tmp_path / "run")["tasks"]
    assert len({task["digests"]["prepared"] for task in tasks}) == 1


def test_a_renamed_dataset_runs_under_its_new_name_and_the_run_says_so(desk, tmp_path):
    kinds = {"clinical vqa task": "x", "department": "y", "perceptual granularity": "z"}
    user = desk(
        eval_config={"data": ["GMAI_mm_bench_VAL"]},
        dataset_sources=_source(tmp_path, "GMAI-MMBench_VAL", **kinds),
    )
    done = user.run(tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert _tasks(tmp_path / "run")["GMAI-MMBench_VAL"]["counts"]["scored"] == 4
    (note,) = report(tmp_path / "run")["notes"]
    assert "GMAI_mm_bench_VAL is called GMAI-MMBench_VAL" in note
