"""report.json and metrics.json: their shape, and what may never be in them."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import metadata

import pytest

from assay.domain.report import RunState
from assay.domain.run import Decoding
from assay.domain.task import TaskCounts, TaskState
from assay.report.build import coverage, metrics_json, report_json
from assay.report.versions import installed_versions
from support.golden import check_golden
from support.reports import a_report, a_run, metric, tasks


def test_the_report_is_as_it_was(request):
    check_golden(request, "report/report.json", report_json(a_report()))


def test_the_metrics_are_as_they_were(request):
    check_golden(request, "report/metrics.json", metrics_json(a_report()))


def test_the_report_says_what_ran_and_with_which_versions():
    report = json.loads(report_json(a_report()))
    assert report["schema"] == "assay.report/v1"
    assert {"id", "state", "spec_digest", "started", "finished"} <= set(report["run"])
    wanted = {"assay", "ms-vlmeval", "Pillow", "pandas", "numpy", "Python"}
    assert wanted <= set(report["provenance"]["versions"])


def test_a_task_of_the_report_holds_what_readers_rely_on():
    first, task, *_ = json.loads(report_json(a_report()))["tasks"]
    wanted = "model dataset state counts coverage judge metrics samples files"
    assert set(wanted.split()) <= set(task)
    assert task["counts"]["unscored_by_reason"] == {"empty_answer": 1, "timeout": 2}
    known = "name split value scale n bounds upstream_value upstream_reason"
    assert set(first["metrics"][0]) == set(known.split())


def test_metrics_say_nothing_of_time_place_or_circumstance():
    elsewhere = a_report(
        run_id="other",
        started="2030-01-01T00:00:00Z",
        finished="2030-01-01T00:00:09Z",
        state=RunState.COMPLETE,
        message="resumed",
        provenance={"assay": "9"},
        tasks=tuple(
            replace(t, message="elsewhere", files=("x",)) for t in tasks()[::-1]
        ),
    )
    assert metrics_json(elsewhere) == metrics_json(a_report())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), None])
def test_what_is_no_number_is_null(value):
    broken = replace(
        tasks()[0], metrics=(metric("F1", value, scale=(0.0, value or 1.0)),)
    )
    for text in (
        report_json(a_report(tasks=(broken,))),
        metrics_json(a_report(tasks=(broken,))),
    ):
        found = json.loads(text, parse_constant=pytest.fail)["tasks"][0]["metrics"][0]
        assert found["value"] is None


def test_numbers_json_cannot_say_are_null_in_parameters_too():
    model = replace(a_run().models[0], decoding=Decoding(extra={"a": [float("inf")]}))
    report = a_report(run=replace(a_run(), models=(model,)))
    found = json.loads(report_json(report), parse_constant=pytest.fail)
    assert found["provenance"]["models"]["My_Model"]["decoding"]["extra"] == {
        "a": [None]
    }


def test_signatures_and_passwords_of_addresses_are_not_reported():
    text = report_json(a_report()).decode()
    assert "hidden" not in text
    assert "http://h:1/v1/chat/completions?..." in text


def test_text_that_is_no_unicode_does_not_cost_a_report():
    assert json.loads(report_json(a_report(message="half a pair: \ud800")))


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (TaskCounts(total=4, scored=3, unscored=1), 0.75),
        (TaskCounts(total=0), None),
        (TaskCounts(total=4, predicted=4), None),
    ],
)
def test_coverage_is_scored_of_total_where_there_is_something_to_score(
    counts, expected
):
    assert coverage(replace(tasks()[0], counts=counts)) == expected


def test_answers_that_fall_short_of_their_coverage_are_no_score_of_zero():
    counts = TaskCounts(total=4, predicted=3, unscored=1)
    short = replace(tasks()[0], state=TaskState.BELOW_COVERAGE, counts=counts)
    assert coverage(short) is None


def test_versions_are_those_installed():
    versions = installed_versions()
    assert versions["Pillow"] == metadata.version("Pillow")
    assert set(versions) == {
        "assay",
        "ms-vlmeval",
        "Pillow",
        "pandas",
        "numpy",
        "Python",
    }
