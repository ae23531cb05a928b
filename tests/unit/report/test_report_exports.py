"""What `assay report` writes for other programs: CSV, JUnit XML, thresholds, MLflow."""

from __future__ import annotations

import csv
import io
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from assay.cli.main import app
from assay.report.spreadsheet import defused
from support.compared_runs import scored_run
from support.html_runs import run_folder

MLFLOW = """
import json, os
from contextlib import contextmanager
from types import SimpleNamespace as Space

class MlflowException(Exception): pass
exceptions = Space(MlflowException=MlflowException)

def note(kind, *what):
    if kind == os.environ.get("FAKE_MLFLOW_FAILS"): raise MlflowException("it is full")
    with open(os.environ["FAKE_MLFLOW"], "a") as log: log.write(json.dumps([kind, *what]) + "\\n")

@contextmanager
def start_run(run_name):
    note("run", run_name)
    yield Space(info=Space(run_id=f"id of {run_name}"))

def set_tags(tags): note("tags", tags)
def log_params(params): note("params", params)
def log_metrics(metrics): note("metrics", metrics)
def log_artifact(path, below=None): note("artifact", path, below)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return run_folder(tmp_path_factory.mktemp("run"), 300)


def invoke(*arguments):
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


def told(done):
    return " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1+1"]
)
def test_a_cell_that_a_spreadsheet_would_run_is_defused(cell):
    assert defused(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["A", "", " =1", "1-1", -1.5, 0, None])
def test_other_cells_stay_as_they_are(cell):
    assert defused(cell) == cell


def rows(path):
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8"), newline="")))


def test_figures_are_one_line_each_and_a_task_without_any_says_why(folder, tmp_path):
    done = invoke(folder, "--csv", tmp_path / "f.csv")
    assert (done.exit_code, done.stdout) == (0, f"wrote {tmp_path / 'f.csv'}\n")
    found = rows(tmp_path / "f.csv")
    first = found[0]
    assert (first["model"], first["metric"], first["n"]) == (
        "My_Model",
        "Overall",
        "288",
    )
    assert float(first["value"]) == pytest.approx(2 / 3)
    assert (first["scored"], first["unscored"], first["coverage"]) == (
        "288",
        "12",
        "0.96",
    )
    assert found[-1]["withheld"] == "coverage 0.950 is below 1.000"


def test_samples_are_one_line_each_with_their_formulas_defused(tmp_path):
    run = scored_run(tmp_path / "run", [1.0, None], categories=("=cmd|'/c calc'!A1",))
    assert invoke(run, "--samples-csv", tmp_path / "s.csv").exit_code == 0
    found = rows(tmp_path / "s.csv")
    assert [row["state"] for row in found] == ["SCORED", "UNSCORED"]
    assert found[0]["category"] == "'=cmd|'/c calc'!A1"
    assert (found[0]["score"], found[1]["score"]) == ("1.0", "")


def junit(path):
    cases = ET.parse(path).getroot().iter("testcase")
    return {
        (c.get("classname"), c.get("name")): [(e.tag, e.get("message")) for e in c]
        for c in cases
    }


def test_tasks_and_thresholds_are_tests_of_a_ci_system(folder, tmp_path):
    file = tmp_path / "junit.xml"
    done = invoke(folder, "--junit", file, "--threshold", "MMStar=0.5")
    assert done.exit_code == 5
    found = junit(file)
    assert found["My_Model.MMStar", "Overall >= 0.5"] == []
    (failure,) = found["My_Model-2.MMStar", "Overall >= 0.5"]
    assert failure[0] == "failure"
    assert failure[1].endswith("< 0.5")
    assert found["My_Model.mine", "scored"][0][0] == "error"
    assert "tests=" in file.read_text()
    root = ET.parse(file).getroot()
    assert [root.get(key) for key in ("tests", "failures", "errors")] == ["6", "2", "1"]


def test_a_threshold_that_is_reached_is_said_and_exits_with_0(folder):
    done = invoke(folder, "--threshold", "MMStar/Overall=0.3")
    assert done.exit_code == 0
    assert "reached: My_Model/MMStar Overall" in done.stderr
    assert "MMStar" in done.stdout


def test_what_is_withheld_reaches_no_threshold(tmp_path):
    withheld = {"metrics": (), "withheld": "coverage 0.500 is below 1.000"}
    run = scored_run(tmp_path / "run", [1.0, None], **withheld)
    done = invoke(run, "--json", "--threshold", "MMStar/Overall=0")
    assert done.exit_code == 5
    assert "missed: My_Model/MMStar Overall: coverage 0.500 is below" in done.stderr
    assert json.loads(done.stdout)["schema"] == "assay.report/v1"


@pytest.mark.parametrize(
    ("threshold", "why"),
    [
        ("MMStar", "is no threshold"),
        ("MMStar=nan", "is no threshold"),
        ("MMStar/Overal=0.5", "has no figure 'Overal'"),
        ("MMSter=0.5", "is no dataset of this run"),
        ("MMStar=66", "is outside the scale of MMStar/Overall"),
    ],
)
def test_a_threshold_that_can_never_be_met_or_missed_is_bad_usage(
    folder, tmp_path, threshold, why
):
    done = invoke(folder, "--threshold", threshold, "--csv", tmp_path / "f.csv")
    assert done.exit_code == 2
    assert why in told(done)
    assert "cure: " in done.stderr
    assert not (tmp_path / "f.csv").exists()


@pytest.mark.parametrize("option", ["--csv", "--samples-csv", "--junit", "--html"])
def test_a_missing_folder_is_bad_usage_and_nothing_is_written(folder, tmp_path, option):
    missing = tmp_path / "missing"
    also = () if option == "--csv" else ("--csv", tmp_path / "f.csv")
    done = invoke(folder, option, missing / "x", *also)
    assert done.exit_code == 2
    assert f"cannot write {missing / 'x'}: there is no folder {missing}" in done.stderr
    assert "cure: name a file in a folder that is there" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--csv", "--samples-csv", "--junit"])
def test_an_export_that_fails_leaves_the_file_as_it_was(folder, tmp_path, option):
    file = tmp_path / "x"
    file.write_text("before")
    # A file may be this long and no longer: what a full disk does, for this process alone.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        done = invoke(folder, option, file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert done.exit_code == 1
    assert f"error: cannot write {file}: File too large" in done.stderr
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


def test_an_export_to_a_link_or_a_device_replaces_neither(folder, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "f.csv")
    assert invoke(folder, "--csv", tmp_path / "link").exit_code == 0
    assert (tmp_path / "link").is_symlink()
    assert rows(tmp_path / "f.csv")
    assert invoke(folder, "--csv", "/dev/null").exit_code == 0
    assert Path("/dev/null").is_char_device()


def with_mlflow(folder, tmp_path, module=MLFLOW, **environ):
    (tmp_path / "mlflow.py").write_text(module)
    environment = {
        **os.environ,
        "PYTHONPATH": str(tmp_path),
        "FAKE_MLFLOW": str(tmp_path / "log"),
        **environ,
    }
    command = [str(Path(sys.executable).with_name("assay")), "report", str(folder)]
    return subprocess.run(
        [*command, "--mlflow"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.fixture(scope="module")
def logged(folder, tmp_path_factory):
    place = tmp_path_factory.mktemp("mlflow")
    done = with_mlflow(folder, place)
    assert done.returncode == 0, done.stderr
    assert "logged to MLflow: id of nightly My_Model, id of" in done.stdout
    return [json.loads(line) for line in (place / "log").read_text().splitlines()]


def test_each_model_is_a_run_of_mlflow(logged):
    names = [line[1] for line in logged if line[0] == "run"]
    assert names == ["nightly My_Model", "nightly My_Model-2"]
    files = {Path(line[1]).name for line in logged if line[0] == "artifact"}
    assert files == {"report.json", "MMStar.parquet"}


def test_settings_are_mlflows_parameters_and_figures_its_metrics(logged):
    parameters, metrics = (
        next(line[1] for line in logged if line[0] == kind)
        for kind in ("params", "metrics")
    )
    assert parameters["decoding.temperature"] == "0.0"
    assert parameters["MMStar.source_digest"] == "b" * 64
    assert metrics["MMStar/Overall"] == pytest.approx(2 / 3)
    assert (metrics["MMStar/coverage"], metrics["MMStar/unscored"]) == (0.96, 12)
    assert "MMStar/logic _b__" in metrics


def test_what_mlflow_refuses_is_an_error_of_one_line(folder, tmp_path):
    done = with_mlflow(folder, tmp_path, FAKE_MLFLOW_FAILS="params")
    assert done.returncode == 1
    assert done.stderr.startswith("error: cannot log to MLflow: it is full\ncure: ")


def test_without_mlflow_the_error_names_what_to_install(folder, tmp_path):
    done = with_mlflow(folder, tmp_path, "raise ImportError('not here')")
    assert done.returncode == 1
    assert "pip install mlflow-skinny" in done.stderr
