"""The command line without a run: help, errors, the report."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from assay.cli.main import app
from assay.cli.run import conclude
from assay.domain.report import RunState
from assay.domain.run import Mode
from assay.local.run import RunOutcome

RUNNER = CliRunner()


def invoke(*arguments):
    return RUNNER.invoke(app, list(map(str, arguments)))


def test_help_lists_the_commands_and_the_exit_codes():
    shown = invoke("--help").output
    for word in ("run", "retry", "score", "report", "Exit codes: 0 complete", "130"):
        assert word in shown


@pytest.mark.parametrize(
    "command",
    [
        *(["run"], ["retry"], ["score"], ["report"], ["compare"], ["datasets"]),
        *(["datasets", name] for name in ("list", "fetch", "verify", "rm")),
        *(["datasets", name] for name in ("export", "import")),
    ],
)
def test_help_of_every_command_says_its_exit_codes(command):
    assert "Exit codes: 0 " in invoke(*command, "--help").output


def test_the_command_line_is_there_without_its_script():
    command = [sys.executable, "-m", "assay.cli.main", "version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip()


def test_help_of_a_command_says_what_resume_means():
    shown = " ".join(invoke("run", "--help").output.split())
    assert "newest unfinished run of this file" in shown


def test_an_unknown_option_is_bad_usage():
    assert invoke("run", "f.yaml", "--reusme").exit_code == 2


def test_every_refused_key_is_an_error_with_a_cure(tmp_path):
    file = tmp_path / "eval.json"
    file.write_text(json.dumps({"eval_config": {"model": [], "daat": ["x"]}}))
    done = invoke("run", file)
    assert done.exit_code == 2
    lines = done.stderr.splitlines()
    assert any(line.startswith("error: eval_config.daat: ") for line in lines)
    assert any(line.startswith("cure: ") for line in lines)


@pytest.mark.parametrize("command", ["report", "retry", "score", "compare"])
def test_a_folder_without_a_run_is_said(tmp_path, command):
    second = [tmp_path] if command == "compare" else []
    done = invoke(command, tmp_path, *second)
    assert done.exit_code == 2
    assert done.stderr.startswith("error: cannot ")
    assert "cure: " in done.stderr


def test_a_report_that_is_none_is_said(tmp_path):
    for content in ("[]", "{", '{"schema": "assay.report/v9", "tasks": []}'):
        (tmp_path / "report.json").write_text(content)
        assert "error: cannot read" in invoke("report", tmp_path).stderr


@pytest.mark.parametrize(
    ("code", "state", "words"),
    [
        (1, RunState.RUNNING, "assay run my.yaml --run-dir '{}' --resume"),
        (130, RunState.RUNNING, "assay run my.yaml --run-dir '{}' --resume"),
        (3, RunState.BELOW_COVERAGE, "assay retry '{}' my.yaml"),
        (0, RunState.COMPLETE, "results: '{}'"),
    ],
)
def test_the_end_says_what_to_do_next(tmp_path, capsys, code, state, words):
    folder = tmp_path / "a run"
    folder.mkdir()
    report = {"schema": "assay.report/v1", "run": {"state": state.value}}
    (folder / "report.json").write_text(json.dumps(report))
    outcome = RunOutcome(
        run_id="r", run_dir=folder, state=state, message="", exit_code=code
    )
    with pytest.raises(Exception, match=str(code)):
        conclude(outcome, "my.yaml", as_json=True)
    assert words.format(folder) in capsys.readouterr().err


def test_a_run_that_kept_no_answer_is_to_be_started_anew(tmp_path, capsys):
    outcome = RunOutcome(
        run_id="r",
        run_dir=tmp_path,
        state=RunState.RUNNING,
        message="no such model",
        exit_code=1,
        kept=False,
    )
    with pytest.raises(Exception, match="1"):
        conclude(outcome, "my.yaml", as_json=False)
    said = capsys.readouterr().err
    assert said.endswith("nothing is lost; start it anew: assay run my.yaml\n")
    assert "--resume" not in said


def test_a_run_that_another_process_holds_is_not_told_to_try_again(tmp_path, capsys):
    outcome = RunOutcome(
        run_id="r",
        run_dir=tmp_path,
        state=RunState.RUNNING,
        message="process 7 holds it (wait for that process or end it)",
        exit_code=1,
        held=True,
    )
    with pytest.raises(Exception, match="1"):
        conclude(outcome, "my.yaml", as_json=False)
    said = capsys.readouterr().err
    assert said == "error: process 7 holds it (wait for that process or end it)\n"


def test_scoring_that_could_not_be_finished_says_how_to_score(tmp_path, capsys):
    outcome = RunOutcome(
        run_id="r",
        run_dir=tmp_path,
        state=RunState.RUNNING,
        message="incomplete inference: 3 of 9",
        exit_code=1,
        mode=Mode.EVAL,
    )
    with pytest.raises(Exception, match="1"):
        conclude(outcome, "my.yaml", as_json=False)
    said = capsys.readouterr().err
    assert "error: incomplete inference" in said
    assert f"assay score {tmp_path}" in said


def test_control_characters_never_reach_the_screen(tmp_path, capsys):
    outcome = RunOutcome(
        run_id="r",
        run_dir=tmp_path,
        state=RunState.RUNNING,
        message="bad \x1b[2Jthing",
        exit_code=1,
    )
    with pytest.raises(Exception, match="1"):
        conclude(outcome, None, as_json=False)
    assert "\x1b" not in capsys.readouterr().err
