"""Scores one task with upstream's own `evaluate()`: the verdict pass, and where needed the aggregate pass.

The verdict pass runs over every row, with upstream's own failure text where there is no answer: the
sample table and the prediction file come from it. If rows are unscored, the aggregate pass runs without
them: the figures and score files come from it. Columns of an xlsx file are typed as a whole, so leaving
rows out can change others; where a remaining row's verdict differs the figures are withheld.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assay.domain.errors import ScorerError
from assay.domain.sample import SampleState, UnscoredReason
from assay.domain.score import Metric, Verdict
from assay.vlmevalkit import scoring_collections, scoring_submissions
from assay.vlmevalkit.families import CIRCULAR, Family, family_of
from assay.vlmevalkit.families_metrics import Rows, figures, values_of
from assay.vlmevalkit.families_tables import Table
from assay.vlmevalkit.families_verdicts import Verdicts
from assay.vlmevalkit.scoring_recorder import FAILED_ANSWER, Recorder, record

_PUBLISHED = frozenset({".xlsx", ".csv", ".json", ".tsv"})
_CATEGORY_COLUMNS = ("category", "l2-category", "split")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What inference left for one row: exactly one of the two is set."""

    sample_id: str
    text: str | None = None
    reason: UnscoredReason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringTask:
    """What is to be scored.

    Attributes:
        dataset: upstream's name; `$LMUData/<dataset>.tsv` is its table.
        model: names upstream's files.
        judge: `exact_matching`.
        limit: the first N rows; 0: all.
        answers: one per row, in dataset order.
    """

    dataset: str
    model: str
    judge: str
    limit: int
    answers: Sequence[Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What came of it: verdicts in dataset order, figures or why there are none, files to publish."""

    verdicts: list[Verdict]
    metrics: list[Metric]
    withheld: str
    files: list[Path]


@dataclass(slots=True, kw_only=True)
class _Pass:
    """One run of `evaluate()`."""

    dataset: Any
    family: Family
    path: Path
    table: Any
    recorder: Recorder
    verdicts: Verdicts = field(default_factory=dict)
    scores: Any = None
    error: Exception | None = None


def score(task: ScoringTask, workdir: Path) -> Scored:
    """Scores `task`; upstream's files are left below `workdir`, whose path must not be absolute.

    Raises:
        ScorerError: upstream's `evaluate()` failed as a whole, or the table does not fit the answers.
    """
    every = range(len(task.answers))
    whole = _run(task, workdir / "verdict", every)
    broken = whole.family.lacking(whole.table, list(every))
    if whole.error is not None and not broken and not whole.verdicts:
        raise _failed(task, whole.error)
    reasons = _reasons(task, whole)
    verdicts = _sample_table(task, whole, reasons)
    if broken:
        return _withheld(whole, verdicts, broken)
    if whole.error is not None and not whole.recorder.errors:
        why = (
            f"VLMEvalKit's own evaluate() fails on this table: {_said(whole.error)} (look for cells"
            " that begin with = or read as no value, such as NA)"
        )
        return _withheld(whole, verdicts, why + _cure(task))
    if reasons:
        return _aggregate(task, workdir, whole, reasons, verdicts)
    values = _values(task, whole)
    found = figures(whole.family, task.dataset, values, values, _rows(whole, reasons))
    files = _files(whole.path.parent)
    return Scored(verdicts=verdicts, metrics=found, withheld="", files=files)


def collect(task: ScoringTask, workdir: Path) -> Scored:
    """Writes the prediction file and the sample table of `task`; nothing is evaluated.

    Raises:
        ScorerError: the table does not fit the answers.
    """
    folder = workdir / "verdict"
    folder.mkdir(parents=True)
    dataset = _build(task)
    table = dataset.data.copy()
    path = folder / f"{task.model}_{task.dataset}.xlsx"
    _write_predictions(dataset, task.answers, path)
    submission = scoring_submissions.write(task.dataset, path, task.judge)
    targets = _cells(table, ("answer",))
    categories = _categories(table)
    verdicts = [
        Verdict(
            sample_id=answer.sample_id,
            state=SampleState.UNSCORED if answer.reason else SampleState.PREDICTED,
            reason=answer.reason,
            prediction=answer.text,
            target=targets[row],
            category=categories[row],
        )
        for row, answer in enumerate(task.answers)
    ]
    why = scoring_submissions.why(task.dataset, submission, targets)
    files = [path] if submission is None else [path, submission]
    return Scored(verdicts=verdicts, metrics=[], withheld=why, files=files)


def _aggregate(
    task: ScoringTask,
    workdir: Path,
    whole: _Pass,
    reasons: dict[int, UnscoredReason],
    verdicts: list[Verdict],
) -> Scored:
    kept = [row for row in range(len(task.answers)) if row not in reasons]
    if not kept:
        return _withheld(whole, verdicts, "no sample was scored")
    if broken := whole.family.lacking(whole.table, kept):
        return _withheld(whole, verdicts, broken)
    rest = _run(task, workdir / "aggregate", kept)
    if rest.error is not None:
        why = f"upstream's evaluate() fails without the unscored rows: {_said(rest.error)}"
        return _withheld(whole, verdicts, why + _cure(task))
    changed = [
        verdicts[row].sample_id
        for place, row in enumerate(kept)
        if rest.verdicts.get(place) != whole.verdicts.get(row)
    ]
    if changed:
        why = (
            f"leaving the unscored samples out changes how upstream reads {len(changed)} others"
            f" (the first: {changed[0]}), because a column's type depends on all its cells"
        )
        return _withheld(whole, verdicts, why)
    found = figures(
        whole.family,
        task.dataset,
        None if whole.error is not None else _values(task, whole),
        _values(task, rest),
        _rows(whole, reasons),
    )
    # The prediction file is that of every row; all else is without those unscored.
    others = [f for f in _files(rest.path.parent) if f.name != rest.path.name]
    return Scored(
        verdicts=verdicts, metrics=found, withheld="", files=[whole.path, *others]
    )


def _run(task: ScoringTask, folder: Path, kept: Sequence[int]) -> _Pass:
    """Writes the prediction file as upstream's inference does, and lets upstream evaluate it."""
    folder.mkdir(parents=True)
    dataset = _build(task)
    family = family_of(dataset)
    if len(kept) != len(task.answers):
        dataset.data = dataset.data.iloc[list(kept)]
    answers = [task.answers[row] for row in kept]
    table = dataset.data.copy()
    path = folder / f"{task.model}_{task.dataset}.xlsx"
    _write_predictions(dataset, answers, path)
    recorder = Recorder(
        skipped=frozenset(row for row, a in enumerate(answers) if a.text is None)
    )
    record(recorder)
    scoring_collections.watch(dataset, table, recorder)
    made = _Pass(
        dataset=dataset, family=family, path=path, table=table, recorder=recorder
    )
    try:
        made.scores = dataset.evaluate(
            str(path), model=task.judge, nproc=4, verbose=False, retry=6, timeout=600
        )
    except Exception as error:  # noqa: BLE001 - whatever upstream raises is this task's outcome
        made.error = error
        recorder.failed = True
    made.verdicts = family.verdicts(recorder, str(path), dataset)
    return made


def _build(task: ScoringTask) -> Any:
    from vlmeval.dataset import build_dataset  # noqa: PLC0415 - only behind the shim

    try:
        dataset = build_dataset(task.dataset)
    except Exception as error:
        raise ScorerError(
            f"upstream cannot build {task.dataset}: {_said(error)}"
        ) from error
    if dataset is None:
        raise ScorerError(f"upstream does not take the table of {task.dataset}")
    if task.limit:
        dataset.data = dataset.data.iloc[: task.limit]
    found = [str(index) for index in dataset.data["index"]]
    expected = [answer.sample_id for answer in task.answers]
    if found != expected:
        raise ScorerError(
            f"the table of {task.dataset} has {len(found)} samples and the answers are for"
            f" {len(expected)}, or in another order",
            cure="prepare the dataset again and start a new run",
        )
    return dataset


def _write_predictions(dataset: Any, answers: Sequence[Answer], path: Path) -> None:
    """Every column but the pictures, plus the predictions as strings, in dataset order."""
    from vlmeval.smp import dump  # noqa: PLC0415 - only behind the shim

    data = dataset.data
    data["prediction"] = [FAILED_ANSWER if a.text is None else a.text for a in answers]
    if "image" in data:
        data.pop("image")
    dump(data, str(path))
    if (
        not path.exists()
    ):  # `dump` falls back to a pickle, which evaluate() would not find
        raise ScorerError(
            f"the predictions of {dataset.dataset_name} do not fit into an xlsx file"
        )


def _values(task: ScoringTask, made: _Pass) -> Any:
    members = {name: scores for name, (_, scores) in made.recorder.members.items()}
    return values_of(task.dataset, made.scores, members)


def _rows(whole: _Pass, unscored: Mapping[int, UnscoredReason]) -> Rows:
    """The prediction table as upstream read it, whose cells name its splits and categories."""
    family = whole.family
    scores = {row: verdict.score for row, verdict in whole.verdicts.items()}
    if family is CIRCULAR:
        # Upstream counts questions, not rotations: right where every rotation is.
        for group in family.groups(whole.table) if family.groups else ():
            right = min((scores.get(row, 0.0) for row in group), default=0.0)
            scores |= dict.fromkeys(group, right)
    return Rows(
        tables=_tables(whole),
        unscored=unscored,
        scores=scores,
        fault=_fault(whole),
    )


def _tables(whole: _Pass) -> dict[str, Table]:
    recorder, family = whole.recorder, whole.family
    if not recorder.rows_of:
        return {"": Table(recorder.first_frame(str(whole.path)), family)}
    found = {}
    for name, rows in recorder.rows_of.items():
        path, _ = recorder.members.get(name, ("", None))
        read = recorder.first_frame(path)
        # Where upstream failed before it came to a member, the dataset's own cells have to do.
        table = whole.table.iloc[list(rows)] if read is None else read
        found[name] = Table(table, family, rows)
    return found


def _fault(whole: _Pass) -> str:
    """What keeps upstream, left to itself, from printing figures of the whole table."""
    errors = whole.recorder.errors
    if errors:
        row = min(errors)
        sample = whole.table["index"].iloc[row]
        return f"upstream's evaluate() fails at sample {sample}: {errors[row]}"
    return f"upstream's evaluate() fails: {_said(whole.error)}" if whole.error else ""


def _reasons(task: ScoringTask, whole: _Pass) -> dict[int, UnscoredReason]:
    """Why rows have no verdict: from inference, from upstream's per-row function, from their group."""
    reasons: dict[int, UnscoredReason] = {}
    for row, answer in enumerate(task.answers):
        if answer.reason is not None:
            reasons[row] = answer.reason
        elif row not in whole.verdicts:
            # Upstream leaves rotations out of which the first is not in the table (a `limit`).
            alone = whole.family is CIRCULAR and row not in whole.recorder.errors
            reasons[row] = (
                UnscoredReason.GROUP_INCOMPLETE
                if alone
                else UnscoredReason.SCORER_ERROR
            )
    if whole.family.groups is not None:
        for group in whole.family.groups(whole.table):
            if any(row in reasons for row in group):
                for row in group:
                    reasons.setdefault(row, UnscoredReason.GROUP_INCOMPLETE)
    return reasons


def _sample_table(
    task: ScoringTask, whole: _Pass, reasons: dict[int, UnscoredReason]
) -> list[Verdict]:
    targets = _cells(whole.table, ("answer",))
    categories = _categories(whole.table)
    result = []
    for row, answer in enumerate(task.answers):
        reason = reasons.get(row)
        verdict = whole.verdicts[row] if reason is None else None
        result.append(
            Verdict(
                sample_id=answer.sample_id,
                state=SampleState.UNSCORED if reason else SampleState.SCORED,
                reason=reason,
                prediction=answer.text,
                target=targets[row],
                extracted=verdict.extracted if verdict else None,
                score=verdict.score if verdict else None,
                category=categories[row],
            )
        )
    return result


def _categories(table: Any) -> list[str | None]:
    """The rows' categories; in a collection with the member's name before."""
    found = _cells(table, _CATEGORY_COLUMNS)
    if "SUB_DATASET" not in table:
        return found
    return [
        str(member) if cell is None else f"{member}:{cell}"
        for member, cell in zip(table["SUB_DATASET"], found, strict=True)
    ]


def _cells(table: Any, names: Sequence[str]) -> list[str | None]:
    """The first of `names` that is a column, as text; None where it is empty or none is there."""
    by_name = {str(column).lower(): column for column in table.columns}
    column = next((by_name[name] for name in names if name in by_name), None)
    if column is None:
        return [None] * len(table)
    empty = table[column].isna()
    return [
        None if gap else str(cell)
        for gap, cell in zip(empty, table[column], strict=True)
    ]


def _withheld(whole: _Pass, verdicts: list[Verdict], why: str) -> Scored:
    return Scored(verdicts=verdicts, metrics=[], withheld=why, files=[whole.path])


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in _PUBLISHED)


def _failed(task: ScoringTask, error: Exception) -> ScorerError:
    return ScorerError(
        f"upstream's evaluate() of {task.dataset} failed: {_said(error)}"
    )


def _cure(task: ScoringTask) -> str:
    """What to try where upstream fails on a part of its table."""
    return (
        " (if it needs the whole table, run it without `limit`)" if task.limit else ""
    )


def _said(error: Exception) -> str:
    text = str(error).strip() or "no message"
    return f"{type(error).__name__}: {text}"[:1000]
