"""Bytes and stages in words that fit beside a bar."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.progress import Progress as RichProgress
from rich.progress import TextColumn

from assay.cli.bars import BarProgress
from assay.cli.sizes import in_words, stage_words
from assay.domain.prepared import PrepareStage, StageProgress


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1_250_000, "1.25 MB"),
        (45_678_901_234, "45.7 GB"),
        (3 * 10**15, "3e+03 TB"),
    ],
)
def test_bytes_have_three_digits_and_a_unit(count, words):
    assert in_words(count) == words


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (StageProgress(PrepareStage.WAITING), "waiting"),
        (StageProgress(PrepareStage.FETCHING), "fetching"),
        (StageProgress(PrepareStage.FETCHING, 500), "fetching 500 B, 2 kB/s"),
        (
            StageProgress(PrepareStage.FETCHING, 500, 2000),
            "fetching 500 B of 2 kB, 2 kB/s",
        ),
        (StageProgress(PrepareStage.PREPARING, 3, 9), "preparing 3/9"),
    ],
)
def test_a_stage_says_how_far_it_is_and_how_fast(step, words):
    assert stage_words(step, 2000.0) == words


def test_a_bar_moves_with_the_bytes_of_a_download():
    screen = Console(file=io.StringIO(), force_terminal=True, width=100)
    drawn = RichProgress(TextColumn("{task.fields[words]}"), console=screen)
    bars = BarProgress(drawn)
    bars.preparing("MMStar", StageProgress(PrepareStage.FETCHING, 500, 2000))
    (bar,) = drawn.tasks
    assert (bar.completed, bar.total) == (500, 2000)
    assert bar.fields["words"] == "fetching 500 B of 2 kB"
