"""One run of upstream's `evaluate()` over a task's rows, and what it came to.

Called by the scoring passes, which decide over which rows.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assay.domain.errors import ScorerError
from assay.domain.sample import UnscoredReason
from assay.vlmevalkit import scoring_collections
from assay.vlmevalkit.families import Family, family_of
from assay.vlmevalkit.families_verdicts import Verdicts
from assay.vlmevalkit.scoring_recorder import FAILED_ANSWER, Recorder, record
from assay.vlmevalkit.scoring_tape import Tape

_LONGEST_CELL = 32_767
"""Characters; xlsx cuts what is longer."""
_CLIENT = {"nproc": 4, "verbose": False, "retry": 6, "timeout": 600}
"""What upstream makes its judge client with; it asks nobody here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What inference left for one row: exactly one of `text` and `reason` is set.

    Attributes:
        text: the answer; of a conversation, a JSON list of every turn's.
        reason: why there is none.
    """

    sample_id: str
    text: str | None = None
    reason: UnscoredReason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringTask:
    """What is to be scored.

    Attributes:
        dataset: upstream's name; `$LMUData/<dataset>.tsv` is its table.
        model: names upstream's files.
        judge: `exact_matching`, or what upstream's files call the judge.
        limit: the first N rows; 0: all.
        answers: one per row, in dataset order.
        tape: what a judge answers; None: none decides.
        slots: rows that may wait for the judge at a time.
        judge_settings: what upstream's judge client is made with besides.
    """

    dataset: str
    model: str
    judge: str
    limit: int
    answers: Sequence[Answer]
    tape: Tape | None = None
    slots: int = 1
    judge_settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Pass:
    """One run of `evaluate()`."""

    dataset: Any
    family: Family
    path: Path
    table: Any
    recorder: Recorder
    verdicts: Verdicts = field(default_factory=dict)
    scores: Any = None
    error: Exception | None = None


def run(
    task: ScoringTask,
    folder: Path,
    kept: Sequence[int],
    *,
    slots: int = 1,
    recording: Callable[..., Recorder] = Recorder,
) -> Pass:
    """Writes the prediction file as upstream's inference does, and lets upstream evaluate it.

    Args:
        task: what is scored.
        folder: a fresh one.
        kept: the rows that take part.
        slots: rows that are worked on at a time.
        recording: makes the recorder, from what `Recorder` is made from.
    """
    folder.mkdir(parents=True)
    dataset = build(task)
    family = family_of(dataset)
    if family.judge and task.tape is None:
        raise ScorerError(
            f"only a judge model can score {task.dataset}", cure="name one: judge"
        )
    if len(kept) != len(task.answers):
        dataset.data = dataset.data.iloc[list(kept)]
    answers = [task.answers[row] for row in kept]
    table = dataset.data.copy()
    path = prediction_path(task, dataset, folder)
    write_predictions(dataset, answers, path)
    recorder = recording(
        skipped=frozenset(row for row, a in enumerate(answers) if a.text is None),
        judged=task.tape is not None,
        slots=slots,
        ids=[answer.sample_id for answer in answers],
    )
    record(recorder)
    if task.tape is not None:
        task.tape.rewind()
    scoring_collections.watch(dataset, table, recorder)
    made = Pass(
        dataset=dataset, family=family, path=path, table=table, recorder=recorder
    )
    try:
        made.scores = dataset.evaluate(
            str(path),
            model=task.judge,
            **_CLIENT | dict(task.judge_settings),
        )
    except Exception as error:  # noqa: BLE001 - whatever upstream raises is this task's outcome
        made.error = error
        recorder.failed = True
    made.verdicts = family.verdicts(recorder, str(path), dataset)
    return made


def opened(task: ScoringTask) -> Any:
    """Upstream's dataset of `task`, with the rows that take part.

    Raises:
        ScorerError: upstream cannot build it.
    """
    from vlmeval.dataset import build_dataset  # noqa: PLC0415 - only behind the shim

    try:
        dataset = build_dataset(task.dataset)
    except Exception as error:
        raise ScorerError(
            f"upstream cannot build {task.dataset}: {said(error)}"
        ) from error
    if dataset is None:
        raise ScorerError(f"upstream does not take the table of {task.dataset}")
    if task.limit:
        dataset.data = dataset.data.iloc[: task.limit]
    return dataset


def build(task: ScoringTask) -> Any:
    """As `opened`.

    Raises:
        ScorerError: as `opened`, or its rows are not those of the answers.
    """
    dataset = opened(task)
    found = [str(index) for index in dataset.data["index"]]
    expected = [answer.sample_id for answer in task.answers]
    if found != expected:
        raise ScorerError(
            f"the table of {task.dataset} has {len(found)} samples and the answers are for"
            f" {len(expected)}, or in another order",
            cure="prepare the dataset again and start a new run",
        )
    return dataset


def prediction_path(task: ScoringTask, dataset: Any, folder: Path) -> Path:
    """Where upstream's prediction file goes: a table of conversations too long for xlsx cells is a TSV.

    Upstream would cut such cells and then fail on what is left; TSV is its own other format.
    """
    ending = "xlsx"
    if dataset.TYPE == "MT":
        answers = (str(_cell(dataset, answer)) for answer in task.answers)
        cells = (
            str(cell) for name in ("question", "answer") for cell in dataset.data[name]
        )
        if max(map(len, (*answers, *cells)), default=0) > _LONGEST_CELL:
            ending = "tsv"
    os.environ["PRED_FORMAT"] = ending
    return folder / f"{task.model}_{task.dataset}.{ending}"


def write_predictions(dataset: Any, answers: Sequence[Answer], path: Path) -> None:
    """Every column but the pictures, plus the predictions as strings, in dataset order.

    Raises:
        ScorerError: they do not fit into a file.
    """
    from vlmeval.smp import dump  # noqa: PLC0415 - only behind the shim

    data = dataset.data
    data["prediction"] = [_cell(dataset, answer) for answer in answers]
    if "image" in data:
        data.pop("image")
    dump(data, str(path))
    if (
        not path.exists()
    ):  # `dump` falls back to a pickle, which evaluate() would not find
        raise ScorerError(
            f"the predictions of {dataset.dataset_name} do not fit into an xlsx file"
        )


def _cell(dataset: Any, answer: Answer) -> Any:
    """What upstream's inference puts into the prediction column: of a conversation, every turn's answer."""
    if dataset.TYPE != "MT":
        return FAILED_ANSWER if answer.text is None else answer.text
    return [FAILED_ANSWER] if answer.text is None else json.loads(answer.text)


def said(error: Exception) -> str:
    """An error in one line."""
    text = str(error).strip() or "no message"
    return f"{type(error).__name__}: {text}"[:1000]
