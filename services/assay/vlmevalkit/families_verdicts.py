"""Where upstream leaves a row's verdict, family by family; every decision read here is upstream's own.

The readers are entries of the table in `families`. Each takes the notes of a pass, the prediction file
and the dataset, and gives the verdicts by row; a row without one is missing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from assay.vlmevalkit.scoring_recorder import Recorder

_NO_OPTION = frozenset({None, "Z"})
"""Upstream's word for "no option was read" is the letter Z."""


@dataclass(frozen=True, slots=True)
class RowVerdict:
    """Upstream's decision for one row: its score, and what it read out of the prediction."""

    score: float
    extracted: str | None


Verdicts = dict[int, RowVerdict]


def multiple_choice(recorder: Recorder, _path: str, _dataset: Any) -> Verdicts:
    """The option read from each row, rotations one by one: a group is right if all of its rows are."""
    found = {}
    for row, result in recorder.results.items():
        option = recorder.options.get(row)
        extracted = None if option in _NO_OPTION else option
        found[row] = RowVerdict(float(result["hit"]), extracted)
    return found


def mmmu(recorder: Recorder, path: str, dataset: Any) -> Verdicts:
    """As multiple choice; an open question, upstream's choice of two, shows the texts of its choices."""
    found = multiple_choice(recorder, path, dataset)
    read = recorder.first_frame(path)
    if read is None or "A" not in read:
        return found
    open_question = list(read["A"].isna())
    answers = list(read["answer"])
    for row, verdict in found.items():
        if open_question[row] and verdict.extracted is not None:
            texts = {"A": str(answers[row]), "B": "Other Answers"}
            words = texts.get(verdict.extracted, verdict.extracted)
            found[row] = RowVerdict(verdict.score, words)
    return found


def yes_no(recorder: Recorder, path: str, _dataset: Any) -> Verdicts:
    """The word read from each row, and whether it is the answer."""
    judged = recorder.last_frame("_auxmatch.xlsx")
    read = recorder.first_frame(path)
    if judged is None or read is None or "score" not in judged:
        return {}
    found = {}
    for row, (score, extracted) in enumerate(
        zip(judged["score"], judged["extracted"], strict=True)
    ):
        if row not in recorder.skipped:
            word = None if extracted == "Unknown" else str(extracted)
            found[row] = RowVerdict(float(bool(score)), word)
    return found


def vqa(recorder: Recorder, _path: str, _dataset: Any) -> Verdicts:
    """Each row's share of the full score, as the figures count it."""
    if recorder.hits is None:
        return {}
    return {
        row: RowVerdict(recorder.hits[row], str(result["pred"]))
        for row, result in recorder.results.items()
        if math.isfinite(recorder.hits[row])
    }


def ocr_bench(recorder: Recorder, path: str, dataset: Any) -> Verdicts:
    """One point or none: `evaluate()` adds them up in one loop, so it is asked about each row alone."""
    return _row_by_row(recorder, path, dataset, lambda scores: scores["Final Score"])


def mtvqa(recorder: Recorder, path: str, dataset: Any) -> Verdicts:
    """Right or wrong: `evaluate()` averages in one loop, so it is asked about each row alone."""
    return _row_by_row(recorder, path, dataset, lambda scores: scores["Average"] / 100)


def caption(recorder: Recorder, path: str, dataset: Any) -> Verdicts:
    """Each caption's ROUGE-L, of which upstream's figure is the mean; BLEU and CIDEr are the corpus's."""
    if recorder.failed:
        return _row_by_row(recorder, path, dataset, lambda _scores: recorder.share)
    read = recorder.first_frame(path)
    if read is None or recorder.hits is None:
        return {}
    return {
        row: RowVerdict(share, str(text))
        for row, (share, text) in enumerate(
            zip(recorder.hits, read["prediction"], strict=True)
        )
        if row not in recorder.skipped
    }


def _row_by_row(recorder: Recorder, path: str, dataset: Any, score: Any) -> Verdicts:
    """Upstream's `evaluate()` on each row alone, cells as it read them; a row that fails is noted."""
    read = recorder.first_frame(path)
    if read is None:
        return {}
    found = {}
    texts = [str(cell) for cell in read["prediction"]]
    for row, text in enumerate(texts):
        single = read.iloc[[row]].reset_index(drop=True)
        alone = recorder.alone(row, single, lambda: dataset.evaluate(path))
        if alone is not None and row not in recorder.skipped:
            found[row] = RowVerdict(float(score(alone)), text)
    return found
