"""Where upstream leaves a row's verdict in the families that only a judge can score.

The readers are entries of the table in `families`, as those of `families_verdicts`. They read what the
per-row functions gave, before the spreadsheet typed it anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assay.vlmevalkit.families_verdicts import RowVerdict, Verdicts
from assay.vlmevalkit.scoring_recorder import Recorder

CAPABILITIES = ("rec", "ocr", "know", "gen", "spat", "math")
"""MMVet's; upstream divides by the count of rows that need each."""


def extracted(recorder: Recorder, _path: str, _dataset: Any) -> Verdicts:
    """MathVista, MathVision: whether what was extracted is the answer."""
    return {
        row: RowVerdict(float(recorder.checked[row]), str(result["res"]))
        for row, result in recorder.results.items()
        if row in recorder.checked
    }


def graded(recorder: Recorder, _path: str, _dataset: Any) -> Verdicts:
    """MMVet: the judge's grade, from 0 to 1."""
    return {
        row: RowVerdict(float(result["score"]), str(result["score"]))
        for row, result in recorder.results.items()
    }


def rated(recorder: Recorder, _path: str, _dataset: Any) -> Verdicts:
    """LLaVABench: the second assistant's tenths; the first one's is the reference answer's."""
    return {
        row: RowVerdict(float(own) / 10, f"{own:g} (reference: {reference:g})")
        for row, (reference, own) in recorder.results.items()
    }


def conversations(recorder: Recorder, _path: str, _dataset: Any) -> Verdicts:
    """MMDU: the mean over the turns of the overall score, in tenths, cut to 0 to 1 as upstream cuts."""
    found = {}
    for row, result in recorder.results.items():
        scores = [int(score) for score in result["res"]["Overall Score"]]
        cut = [min(max(score, 0), 10) for score in scores]
        found[row] = RowVerdict(sum(cut) / len(cut) / 10, ", ".join(map(str, scores)))
    return found


def lacking_capabilities(table: Any, rows: Sequence[int]) -> str:
    """Why MMVet's figures cannot be made of `rows`: capabilities that none of them needs."""
    cells = list(table["category"])
    there = " ".join(str(cells[row]) for row in rows)
    missing = [name for name in CAPABILITIES if name not in there]
    if not missing:
        return ""
    return (
        f"upstream makes its table of MMVet for {len(CAPABILITIES)} capabilities, and no scored row needs"
        f" {', '.join(missing)} (run it without `limit`; retry what failed)"
    )
