"""What a person sees while a run goes on."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress as RichProgress
from rich.progress import TextColumn

from assay.cli.bars import BarProgress
from assay.cli.pace import Pace, duration
from assay.cli.progress import PlainProgress
from assay.domain.prepared import PrepareStage, StageProgress
from support.decisions import run_of, snapshot, task


def _plain(capsys, *snapshots):
    listener = PlainProgress()
    for each in snapshots:
        listener.looked(each)
    return capsys.readouterr().err.splitlines()


def test_notes_are_said_once_when_the_run_starts(capsys):
    run = replace(run_of(), notes=("verbose has no effect.",))
    PlainProgress().started(run, "r1", Path("/runs/1"), going_on=False)
    assert capsys.readouterr().err.splitlines() == [
        "run r1 in /runs/1",
        "note: verbose has no effect.",
    ]


def test_plain_lines_come_when_a_state_changes_and_not_with_every_count(capsys):
    lines = _plain(
        capsys,
        snapshot(task("WAITING")),
        *(
            snapshot(task("INFERRING", total=9, predicted=n, pending=9 - n))
            for n in range(9)
        ),
        snapshot(task("COMPLETE", total=9, scored=7, unscored=2)),
    )
    assert lines == ["m/d: inferring, 0/9", "m/d: complete, 9/9, 2 failed"]


def test_answers_of_an_earlier_start_are_no_pace(capsys, monkeypatch):
    clock = iter(range(100, 200, 10))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    lines = _plain(
        capsys,
        snapshot(task("WAITING")),
        snapshot(task("INFERRING", total=900, predicted=600, pending=300)),
        snapshot(task("INFERRING", total=900, predicted=620, pending=280)),
    )
    assert lines == [
        "m/d: inferring, 600/900",
        "m/d: inferring, 620/900, 2.0/s, 2 min 20 s left",
    ]


def test_stages_of_a_dataset_are_said_as_they_begin(capsys):
    listener = PlainProgress()
    for done in range(3):
        listener.preparing("d", StageProgress(PrepareStage.FETCHING, done, 9))
    listener.preparing("d", StageProgress(PrepareStage.PREPARING))
    listener.prepared("d", 12)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["d: fetching", "d: preparing", "d: 12 samples ready"]


def test_bars_show_done_total_and_failures():
    stream = io.StringIO()
    drawn = RichProgress(
        TextColumn("{task.description} {task.fields[words]}"),
        console=Console(file=stream, width=100),
    )
    with drawn:
        listener = BarProgress(drawn)
        listener.preparing("d", StageProgress(PrepareStage.FETCHING, 1, 2))
        listener.prepared("d", 9)
        listener.looked(snapshot(task("INFERRING", total=9, predicted=3, unscored=1)))
        listener.noticed("[red]not markup[/red]")
    assert "m/d 4/9, 1 failed" in stream.getvalue()
    assert "notice: [red]not markup[/red]" in stream.getvalue()


def test_the_pace_counts_what_is_new_and_says_what_is_left():
    pace = Pace()
    for second in range(5):
        pace.saw(float(second), 100 + 10 * second)
    assert pace.words(240) == "10.0/s, 10 s left"
    assert pace.words(140) == "10.0/s"


def test_a_retry_does_not_make_the_pace_negative():
    pace = Pace()
    pace.saw(0.0, 100)
    pace.saw(1.0, 20)
    assert (pace.per_second, pace.words(100)) == (0.0, "")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(4, "4 s"), (64, "1 min 04 s"), (3 * 3600 + 125, "3 h 02 min")],
)
def test_durations_are_in_two_units(seconds, words):
    assert duration(seconds) == words
