"""The table on the terminal: what it shows, also where there is little room or hostile text."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from assay.domain.report import RunReport
from assay.domain.task import TaskCounts, TaskState
from assay.report.build import report_json
from assay.report.terminal import headline_metrics, print_report
from support.golden import check_golden
from support.reports import a_report, a_run, metric, tasks


def shown(report: RunReport, *, width: int = 110, terminal: bool = False) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=terminal)
    print_report(json.loads(report_json(report)), console)
    return stream.getvalue()


@pytest.mark.parametrize("width", [110, 60])
def test_the_table_is_as_it_was(request, width):
    text = shown(a_report(), width=width)
    check_golden(request, f"report/table_{width}.txt", text.encode())


def test_a_task_shows_score_scale_n_coverage_reasons_and_judge():
    text = shown(a_report())
    for expected in (
        "Overall [val] 0.812 of 1, N=60",
        "60/60",
        "95.0%",
        "timeout 2",
        "exact matching",
        "My_Model-2/MMStar: score withheld: coverage 0.950 is below 1.000",
        "+1 more in report.json",
    ):
        assert expected in text


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_no_line_is_wider_than_the_terminal(width):
    assert max(map(len, shown(a_report(), width=width).splitlines())) <= width


def test_there_is_no_colour_where_there_is_no_terminal():
    assert "\x1b" not in shown(a_report())
    assert "\x1b[" in shown(a_report(), terminal=True)


def test_control_characters_and_markup_of_others_are_not_interpreted():
    hostile = replace(
        tasks()[2], message="[red]x[/red]\x1b]0;title\x07 [link=http://e]y[/link]"
    )
    text = shown(a_report(tasks=(hostile,)), terminal=True)
    assert "\x1b]0;" not in text
    assert "\x07" not in text
    assert "[red]x[/red]" in text


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["OCR", "Overall", "count"], ["Overall"]),
        (["OCR", "perception", "reasoning"], ["perception", "reasoning"]),
        (["a", "b", "c", "d"], ["a", "b", "c"]),
        ([], []),
    ],
)
def test_the_headline_is_upstreams_summary_row(given, expected):
    rows = [{"name": name, "split": "none"} for name in given]
    assert [row["name"] for row in headline_metrics(rows)] == expected


def test_the_split_called_overall_is_the_headline_of_hallusionbench():
    rows = [
        {"name": name, "split": split}
        for split in ("VD", "Overall")
        for name in ("aAcc", "fAcc", "qAcc")
    ]
    found = headline_metrics(rows)
    assert [(row["split"], row["name"]) for row in found] == [
        ("Overall", "aAcc"),
        ("Overall", "fAcc"),
        ("Overall", "qAcc"),
    ]


def test_coverage_is_never_rounded_up_to_all():
    counts = TaskCounts(total=100_000, scored=99_999, unscored=1)
    assert "<100%" in shown(a_report(tasks=(replace(tasks()[0], counts=counts),)))


def test_a_scale_that_is_not_a_share_is_said():
    totals = (
        metric("perception", 1432.5, scale=(0.0, 2000.0)),
        metric("reasoning", 40.0, scale=(-1.0, 800.0)),
    )
    text = shown(a_report(tasks=(replace(tasks()[0], metrics=totals),)))
    assert "perception 1432.50 of 2000, N=60" in text
    assert "reasoning 40.00 (-1 to 800), N=60" in text


def test_a_run_without_tasks_and_many_notes_is_shown():
    run = replace(a_run(), notes=tuple(f"note {n}" for n in range(12)))
    assert "+4 more notes in report.json" in shown(a_report(tasks=(), run=run))


def test_open_samples_of_a_failed_run_are_shown_as_not_asked():
    open_task = replace(
        tasks()[2],
        state=TaskState.INFERRING,
        counts=TaskCounts(total=5, pending=4, leased=1),
    )
    assert "not asked yet 5" in shown(a_report(tasks=(open_task,)))


@pytest.mark.parametrize(("unscored", "said"), [(3, True), (0, False)])
def test_bounds_and_upstreams_figure_are_said_where_samples_are_unscored(
    unscored, said
):
    known = metric("Overall", 0.8, bounds=(0.76, 0.81), upstream_value=0.77)
    counts = TaskCounts(total=57 + unscored, scored=57, unscored=unscored)
    task = replace(tasks()[0], metrics=(known,), counts=counts)
    text = shown(a_report(tasks=(task,)))
    assert ("between 0.760 and 0.810" in text) is said
    assert ("VLMEvalKit would print 0.770" in text) is said
