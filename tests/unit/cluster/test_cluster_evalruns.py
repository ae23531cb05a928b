"""What commands read out of an EvalRun: whether it has ended, what is drawn of it, what is said."""

import io

import msgspec
import pytest
from rich.console import Console

from assay.cli.runview import show
from assay.cluster.evalruns import EvalRun
from assay.cluster.outlook import snapshot_of
from assay.process.contract import ExitCode

TASK = {"model": "m", "dataset": "D", "state": "INFERRING", "total": 10, "answered": 6}


def item(generation=1, **status):
    told = {"observedGeneration": 1, **status}
    meta = {"name": "demo", "generation": generation}
    return msgspec.convert({"metadata": meta, "status": told}, EvalRun)


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("Complete", ExitCode.OK),
        ("BelowCoverage", ExitCode.BELOW_COVERAGE),
        ("Failed", ExitCode.FAILED),
        ("Cancelled", ExitCode.FAILED),
        ("Refused", ExitCode.BAD_CONFIG),
        *((state, None) for state in ("", "Pending", "Inferring", "Suspended")),
    ],
)
def test_a_run_has_ended_in_these_states_alone(state, code):
    assert item(state=state).ended == code


def test_the_end_of_an_earlier_spec_is_no_end_of_this_one():
    changed = item(generation=2, state="Complete")
    assert (changed.state, changed.ended) == ("Pending", None)


def test_bars_move_by_what_was_answered_scored_and_failed():
    task = TASK | {"scored": 1, "unscored": 2}
    (drawn,) = snapshot_of(item(tasks=[task])).tasks
    counts = drawn.counts
    assert (counts.total, counts.pending, counts.predicted) == (10, 4, 3)
    assert (counts.scored, counts.unscored) == (1, 2)


def test_of_more_tasks_than_a_status_holds_the_whole_is_drawn():
    many = item(models="9 models", datasets="90 datasets", progress="40/810")
    (drawn,) = snapshot_of(many).tasks
    assert str(drawn.id) == "9 models/90 datasets"
    assert (drawn.counts.total, drawn.counts.predicted) == (810, 40)


def test_a_state_of_another_version_is_left_out_and_nothing_told_draws_nothing():
    assert snapshot_of(item(tasks=[TASK | {"state": "DREAMING"}])).tasks == ()
    assert snapshot_of(item()).tasks == ()


def shown(width=100, **status):
    out = io.StringIO()
    show(item(**status), Console(file=out, width=width))
    return out.getvalue()


def test_a_message_is_shown_whole_once_and_cannot_rewrite_the_screen():
    message = "[red]no\x1b[2J answer[/red]"
    failed = TASK | {"state": "FAILED", "message": message}
    text = shown(tasks=[failed, failed | {"dataset": "E"}])
    assert "m/D, m/E: [red]no [2J answer[/red]" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("width", [100, 40])
def test_tasks_are_shown_with_their_figures_in_any_width(width):
    done = TASK | {"state": "COMPLETE", "answered": 10, "scored": 9, "unscored": 1}
    text = " ".join(shown(width, tasks=[done | {"score": 0.5}]).split())
    for word in ("m/D", "complete", "10/10", "0.5", "90.0%"):
        assert word in text


def test_why_it_ended_is_what_the_condition_says_that_holds():
    failed = {"type": "Failed", "status": "True", "message": "no room"}
    fine = {"type": "Failed", "status": "False", "message": "not so"}
    below = {"type": "Complete", "status": "False", "message": "withheld"}
    assert item(conditions=[failed, below]).why == "no room"
    assert item(conditions=[fine, below]).why == "withheld"
    assert item().why == ""
