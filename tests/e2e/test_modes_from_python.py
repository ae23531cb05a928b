"""What scripts do with `assay.evalscope` beyond the documented one: stages, several models, failures."""

import hashlib
import json
import sys
from pathlib import Path

import pytest

from support.local_runs import DATASET, MODEL, report, write_dataset

pytestmark = pytest.mark.e2e

COUNT = 24
HEAD = """
import copy, json
from assay.evalscope import TaskConfig
from assay.evalscope.run import run_task
from assay.evalscope.summarizer import Summarizer
asked = json.load(open('eval.json'))
def config(mode='all', **changes):
    new = copy.deepcopy(asked)
    new['eval_config']['mode'] = mode
    new['eval_config'].update(changes.pop('eval_config', {}))
    return TaskConfig(**{**new, **changes})
"""


@pytest.fixture
def script(desk, stub):
    """Runs Python text at a user's desk; what it prints last is its result, as JSON."""
    user = desk(count=COUNT)

    def run(text, code=0):
        done = user.program(sys.executable, "-c", HEAD + text)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout.splitlines()[-1]) if code == 0 else done.stderr

    run.user = user
    return run


def test_a_script_infers_and_another_scores_without_asking(script, stub):
    run_dir = script("print(json.dumps(run_task(config('infer'))))")["run_dir"]
    assert sum(stub.asked.values()) == COUNT
    rows = script(
        f"task_cfg = config('eval', use_cache={run_dir!r})\n"
        "run_task(task_cfg)\n"
        "print(json.dumps(Summarizer.get_report_from_cfg(task_cfg)))"
    )
    (figures,) = rows
    assert figures[f"{MODEL}_{DATASET}_acc"]["Overall"]
    assert sum(stub.asked.values()) == COUNT


def test_reports_pass_over_newer_runs_that_only_inferred(script):
    rows = script(
        "run_task(config())\n"
        "run_task(config('infer'))\n"
        "print(json.dumps(Summarizer.get_report_from_cfg(config())))"
    )
    assert len(rows) == 1


def test_several_models_and_datasets_give_the_figures_of_each(script, stub):
    folder = script.user.folder
    write_dataset(folder / "Other.tsv", 8)
    model = {"name": "CustomAPIModel", "api_base": stub.url, "wait": 0.01}
    models = [{**model, "type": name} for name in ("a/m", "b/m")]
    changes = {"model": models, "data": [DATASET, "Other"]}
    sources = {name: {"path": f"{name}.tsv"} for name in changes["data"]}
    rows = script(
        f"task_cfg = config(eval_config={changes!r}, dataset_sources={sources!r})\n"
        "run_task(task_cfg)\n"
        "print(json.dumps(Summarizer.get_report_from_cfg(task_cfg)))"
    )
    assert [name for row in rows for name in row] == [
        f"{key}_{name}_acc" for key in ("m", "m-2") for name in changes["data"]
    ]


def test_a_task_that_fails_is_named_and_the_others_are_scored(script):
    folder = script.user.folder
    (folder / "Broken.tsv").write_text("index\tquestion\n0\twhat?\n")
    changes = {"data": ["Broken", DATASET]}
    sources = {name: {"path": f"{name}.tsv"} for name in changes["data"]}
    text = f"run_task(config(eval_config={changes!r}, dataset_sources={sources!r}))"
    said = script(text, code=1)
    assert f"{MODEL}/Broken: " in said.splitlines()[-1]
    (run_dir,) = (folder / "outputs").iterdir()
    states = {task["dataset"]: task["state"] for task in report(run_dir)["tasks"]}
    assert states == {"Broken": "FAILED", DATASET: "COMPLETE"}


def test_use_cache_without_reuse_is_refused_and_deletes_nothing(script, stub):
    run_dir = script("print(json.dumps(run_task(config())))")["run_dir"]
    before = report(Path(run_dir))
    said = script(
        f"run_task(config(use_cache={run_dir!r}, eval_config={{'reuse': False}}))", 1
    )
    assert "ConfigError: use_cache: names a run to continue" in said
    assert report(Path(run_dir)) == before
    assert sum(stub.asked.values()) == COUNT


def test_no_timestamp_with_reuse_goes_on_in_work_dir(script, stub):
    text = "run_task(config(no_timestamp=True, work_dir='one', eval_config={'reuse': True}))"
    stub.status = lambda sample: 400 if sample < 3 else 200
    assert "below its coverage" in script(text, code=1)
    stub.status = lambda _: 200
    assert script(f"print(json.dumps({text}))")["run_dir"].endswith("/one")
    assert sum(stub.asked.values()) == COUNT + 3


def test_the_page_of_a_run_is_written_again_with_every_result(script, stub):
    stub.status = lambda sample: 400 if sample < 3 else 200
    user, run_dir = script.user, script.user.folder / "run"
    assert user.run(run_dir).returncode == 3
    page = run_dir / "report.html"
    first = page.read_bytes()
    stub.status = lambda _: 200
    assert user.assay("retry", run_dir).returncode == 0
    second = page.read_bytes()
    assert first != second
    assert page.stat().st_mtime_ns > (run_dir / "report.json").stat().st_mtime_ns
    assert user.assay("score", run_dir).returncode == 0
    assert page.stat().st_mtime_ns > (run_dir / "report.json").stat().st_mtime_ns


def test_a_collection_gives_a_row_for_each_of_its_members(script, stub):
    names = [f"MMMB_{word}" for word in ("ar", "cn", "en", "pt", "ru", "tr")]
    sources = {}
    for name in names:
        tsv = write_dataset(script.user.folder / f"{name}.tsv", 4)
        md5 = hashlib.md5(tsv.read_bytes()).hexdigest()
        sources[name] = {"path": str(tsv), "md5": md5}
    rows = script(
        f"task_cfg = config(eval_config={{'data': ['MMMB']}}, dataset_sources={sources!r})\n"
        "run_task(task_cfg)\n"
        "print(json.dumps(Summarizer.get_report_from_cfg(task_cfg)))"
    )
    figures = {name: content for row in rows for name, content in row.items()}
    assert f"{MODEL}_MMMB_acc" in figures
    assert {f"{MODEL}_{name}_acc" for name in names} <= set(figures)
    shown = json.dumps(figures)
    assert all(name in shown for name in names)


def test_a_name_without_answers_ends_complete_beside_others_and_has_no_figures(script):
    tsv = write_dataset(script.user.folder / "A-Bench_TEST.tsv", 4)
    md5 = hashlib.md5(tsv.read_bytes()).hexdigest()
    changes = {"data": ["A-Bench_TEST", DATASET]}
    sources = {
        "A-Bench_TEST": {"path": str(tsv), "md5": md5},
        DATASET: {"path": f"{DATASET}.tsv"},
    }
    rows = script(
        f"task_cfg = config(eval_config={changes!r}, dataset_sources={sources!r})\n"
        "run_task(task_cfg)\n"
        "print(json.dumps(Summarizer.get_report_from_cfg(task_cfg)))"
    )
    assert [list(row) for row in rows] == [[f"{MODEL}_{DATASET}_acc"]]
    (run_dir,) = (script.user.folder / "outputs").iterdir()
    unscored, _ = report(run_dir)["tasks"]
    assert (unscored["state"], unscored["metrics"]) == ("COMPLETE", [])
    assert unscored["withheld"]
    assert script.user.assay("score", run_dir).returncode == 0
