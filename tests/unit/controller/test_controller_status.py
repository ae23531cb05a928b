"""The status of an EvalRun: conditions from first sight, counts, history, and an Event for each change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from assay.controller.conditions import EvalRunStatus, Kind
from assay.controller.evalrun import admitted, read
from assay.controller.status import MOST_EXECUTIONS, notices, status_of
from assay.controller.words import Sight
from support.decisions import headline, queue, snapshot, task
from support.evalruns import FILE, evalrun, file_with

NOTHING = EvalRunStatus()
NOON, LATER = "2026-11-25T12:00:00Z", "2026-11-25T13:00:00Z"
READY = queue(workers=2)


def sight(*tasks, item=None, state="RUNNING", queues=(READY,), **known) -> Sight:
    seen = snapshot(*tasks, state=state, queues=queues) if tasks else None
    return Sight(admission=admitted(item or evalrun()), snapshot=seen, **known)


def status(*tasks, former=NOTHING, now=NOON, **known) -> EvalRunStatus:
    return status_of(sight(*tasks, **known), former, now)


def said(told: EvalRunStatus, kind: str) -> tuple[str, str]:
    condition = told.condition(Kind(kind))
    assert condition is not None
    return condition.status, condition.reason


def reasons(before: EvalRunStatus, after: EvalRunStatus) -> list[tuple[str, str]]:
    return [(notice.type, notice.reason) for notice in notices(before, after)]


def test_every_condition_is_there_from_first_sight() -> None:
    told = status()
    assert [c.type for c in told.conditions or ()] == list(Kind)
    assert said(told, "Accepted") == ("True", "Accepted")
    assert said(told, "Inferring") == ("Unknown", "Pending")
    assert told.state == "Pending"


def test_a_refused_spec_fails_with_path_and_cure() -> None:
    told = status(item=evalrun(file_with(datta=1)))
    assert said(told, "Accepted") == ("False", "InvalidSpec")
    assert said(told, "Failed") == ("True", "InvalidSpec")
    condition = told.condition(Kind.ACCEPTED)
    assert condition is not None
    assert "spec.file.eval_config.datta: is not a known key" in condition.message
    assert told.state == "Refused"


def test_a_refused_change_leaves_told_what_ran_before() -> None:
    former = status(task("INFERRING", total=4, scored=1))
    broken = evalrun(file_with(datta=1), generation=2)
    told = status(item=broken, former=former)
    assert (told.run_id, told.executions) == (former.run_id, former.executions)
    assert told.observed_generation == 2


def test_a_transition_time_moves_only_when_the_status_does() -> None:
    first = status(task("INFERRING", total=4))
    same = status(task("INFERRING", total=4, scored=2), former=first, now=LATER)
    ended = status(task("INFERRED", total=4), former=same, now=LATER)
    times = [
        each.condition(Kind.INFERRING).last_transition_time  # type: ignore[union-attr]
        for each in (first, same, ended)
    ]
    assert times == [NOON, NOON, LATER]


@pytest.mark.parametrize(
    ("state", "known", "kind", "expected"),
    [
        ("WAITING", {}, "DatasetReady", ("False", "Preparing")),
        ("WAITING", {}, "Inferring", ("False", "WaitingForDataset")),
        ("FAILED", {}, "DatasetReady", ("False", "PreparationFailed")),
        ("INFERRING", {}, "Inferring", ("True", "Answering")),
        (
            "INFERRING",
            {"queues": (queue(dead_for=9),)},
            "Inferring",
            ("False", "EndpointUnusable"),
        ),
        (
            "INFERRING",
            {"queues": (queue(workers=0),), "hindrances": ("no node",)},
            "Inferring",
            ("False", "PodsNotReady"),
        ),
        (
            "INFERRING",
            {"queues": (queue(workers=0),), "hindrances": ("late",), "lost": True},
            "Inferring",
            ("False", "NodeLost"),
        ),
        ("INFERRED", {}, "Inferring", ("False", "AllAnswered")),
        ("SCORING", {}, "Scored", ("False", "Scoring")),
        ("COMPLETE", {}, "Scored", ("True", "AllScored")),
        ("COMPLETE", {"state": "COMPLETE"}, "Complete", ("True", "Complete")),
        (
            "COMPLETE",
            {"state": "COMPLETE", "found": True},
            "Complete",
            ("True", "AlreadyComplete"),
        ),
        (
            "BELOW_COVERAGE",
            {"state": "BELOW_COVERAGE"},
            "Complete",
            ("False", "CoverageBelowThreshold"),
        ),
        ("FAILED", {"state": "FAILED"}, "Failed", ("True", "RunFailed")),
        ("INFERRING", {"state": "CANCELLED"}, "Failed", ("True", "Cancelled")),
        ("INFERRING", {"state": "CANCELLED"}, "Complete", ("False", "Cancelled")),
        ("INFERRING", {"problem": "held"}, "Failed", ("True", "CannotGoOn")),
    ],
)
def test_a_condition_says_where_the_run_is(state, known, kind, expected) -> None:
    assert said(status(task(state), **known), kind) == expected


def test_one_dead_endpoint_is_told_while_another_model_goes_on() -> None:
    queues = (READY, queue(model="other", dead_for=9))
    told = status(task("INFERRING"), queues=queues).condition(Kind.INFERRING)
    assert told is not None
    assert (told.status, told.reason) == ("True", "Answering")
    assert "other: http://127.0.0.1:9 refuses connections" in told.message


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({}, "Inferring"),
        ({"queues": (queue(dead_for=9),)}, "EndpointUnusable"),
        (
            {"queues": (queue(workers=0),), "hindrances": ("no node",)},
            "PodsNotReady",
        ),
        ({"queues": (READY, queue(model="other", dead_for=9))}, "Inferring"),
    ],
)
def test_the_column_names_what_keeps_anybody_from_being_asked(known, expected) -> None:
    assert status(task("INFERRING"), **known).state == expected


def test_a_suspended_run_says_so_and_is_not_inferring() -> None:
    told = status(task("INFERRING"), item=evalrun(suspend=True))
    assert said(told, "Suspended") == ("True", "Suspended")
    assert said(told, "Inferring") == ("False", "Suspended")
    assert told.state == "Suspended"


def test_the_printed_columns_are_short() -> None:
    tasks = (
        task("INFERRING", "My_Model", "MMStar", total=10, pending=4, scored=6),
        replace(
            task("COMPLETE", "other", "MMStar", total=10, scored=9, unscored=1),
            score=headline(0.81249),
        ),
    )
    told = status(*tasks)
    assert told.models == "My_Model, other"
    assert told.datasets == "MMStar, OCRBench"
    assert (told.progress, told.score) == ("16/20", "-, 0.8125")
    many = file_with(
        model=[
            FILE["eval_config"]["model"][0] | {"type": f"model-{n}" * 4}
            for n in range(3)
        ]
    )
    assert status(item=evalrun(many)).models == "3 models"


def test_tasks_are_told_one_by_one_up_to_two_hundred() -> None:
    def tasks(count):
        return [
            task("INFERRING", dataset=f"d{n}", total=2, scored=1) for n in range(count)
        ]

    assert len(status(*tasks(200)).tasks or ()) == 200
    beyond = status(*tasks(201))
    assert (beyond.tasks, beyond.progress) == (None, "201/402")


def test_another_spec_supersedes_and_coming_back_ends_with_the_first() -> None:
    other = evalrun(file_with(limit=5), generation=2)
    back = evalrun(generation=3)
    first = status(task("INFERRING"))
    second = status(task("INFERRING"), item=other, former=first, now=LATER)
    third = status(
        task("COMPLETE"), item=back, former=second, now=LATER, state="COMPLETE"
    )
    told = [(e.run_id, e.state) for e in third.executions or ()]
    assert told == [
        (read(evalrun()).run_id, "Complete"),
        (read(other).run_id, "Superseded"),
    ]
    assert (third.executions or [])[0].started == NOON
    assert (third.executions or [])[0].finished == LATER


def test_a_finished_execution_stays_finished_in_the_history() -> None:
    first = status(task("COMPLETE"), state="COMPLETE")
    second = status(item=evalrun(file_with(limit=5)), former=first)
    assert [e.state for e in second.executions or ()] == ["Complete"]
    third = status(task("WAITING"), item=evalrun(file_with(limit=5)), former=second)
    assert [e.state for e in third.executions or ()] == ["Preparing", "Complete"]


def test_only_the_last_ten_executions_are_kept() -> None:
    told = NOTHING
    for limit in range(1, MOST_EXECUTIONS + 4):
        item = evalrun(file_with(limit=limit))
        told = status(task("INFERRING"), item=item, former=told)
    assert len(told.executions or ()) == MOST_EXECUTIONS


def test_each_change_of_state_is_told_once() -> None:
    stages = [
        status(),
        status(task("INFERRING")),
        status(task("INFERRING", scored=3)),
        status(task("INFERRED")),
        status(task("COMPLETE"), state="COMPLETE"),
    ]
    told = [
        [reason for _, reason in reasons(before, after)]
        for before, after in zip([NOTHING, *stages], stages, strict=False)
    ]
    assert told == [
        ["Accepted"],
        ["Prepared", "Answering"],
        [],
        ["AllAnswered"],
        ["AllScored", "Complete"],
    ]


def test_trouble_is_told_as_a_warning() -> None:
    well = status(task("INFERRING"))
    dead = status(task("INFERRING"), queues=(queue(dead_for=9),))
    assert reasons(well, dead) == [("Warning", "EndpointUnusable")]
    assert reasons(dead, well) == [("Normal", "Answering")]


def test_suspending_and_going_on_are_both_told() -> None:
    going = status(task("INFERRED"))
    away = status(task("INFERRED"), item=evalrun(suspend=True))
    assert reasons(going, away) == [("Normal", "Suspended")]
    assert reasons(away, going) == [("Normal", "Resumed")]


def test_a_superseded_execution_is_told_with_both_names() -> None:
    first = status()
    second = status(item=evalrun(file_with(limit=5)), former=first)
    (notice,) = notices(first, second)
    assert notice.reason == "Superseded"
    assert first.run_id in notice.note
    assert second.run_id in notice.note
