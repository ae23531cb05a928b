"""Scores one task with upstream's own `evaluate()`: the verdict pass, and where needed the aggregate pass.

The verdict pass runs over every row, with upstream's own failure text where there is no answer: the
sample table and the prediction file come from it. If rows are unscored, the aggregate pass runs without
them: the figures and score files come from it. Columns of an xlsx file are typed as a whole, so leaving
rows out can change others; where a remaining row's verdict, or what a judge was asked about it, differs
the figures are withheld. A pass that had a judge asked, many rows at a time, is done over from the
recorded answers, in dataset order; the aggregate pass asks nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from assay.domain.errors import ScorerError
from assay.domain.sample import SampleState, UnscoredReason
from assay.domain.score import Metric, Verdict
from assay.vlmevalkit import scoring_submissions
from assay.vlmevalkit.families import CIRCULAR
from assay.vlmevalkit.families_metrics import Rows, figures, values_of
from assay.vlmevalkit.families_tables import Table
from assay.vlmevalkit.scoring_evaluate import (
    Pass,
    ScoringTask,
    build,
    prediction_path,
    run,
    said,
    write_predictions,
)
from assay.vlmevalkit.scoring_tape import Heard

_PUBLISHED = frozenset({".xlsx", ".csv", ".json", ".tsv"})
_CATEGORY_COLUMNS = ("category", "l2-category", "split")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What came of it.

    Attributes:
        verdicts: in dataset order.
        metrics: the figures.
        withheld: why there are none; empty: there are.
        files: to publish.
        heard: what a judge was asked about each row and what it replied.
        exhausted: rows whose replies cannot be read and that upstream scores all the same.
    """

    verdicts: list[Verdict]
    metrics: list[Metric]
    withheld: str
    files: list[Path]
    heard: Mapping[int, Sequence[Heard]] = field(default_factory=dict)
    exhausted: int = 0


def score(task: ScoringTask, workdir: Path) -> Scored:
    """Scores `task`; upstream's files are left below `workdir`, whose path must not be absolute.

    Raises:
        ScorerError: upstream's `evaluate()` failed as a whole, or the table does not fit the answers.
    """
    whole = _verdict_pass(task, workdir)
    found = _judged(task, workdir, whole)
    recorder = whole.recorder
    return replace(found, heard=recorder.heard, exhausted=len(recorder.exhausted))


def _verdict_pass(task: ScoringTask, workdir: Path) -> Pass:
    every = range(len(task.answers))
    if task.tape is not None:
        asking = run(task, workdir / "asking", every, slots=task.slots)
        if not task.tape.asked:
            return asking
    return run(task, workdir / "verdict", every)


def _judged(task: ScoringTask, workdir: Path, whole: Pass) -> Scored:
    broken = whole.family.lacking(whole.table, list(range(len(task.answers))))
    reasons = _reasons(task, whole)
    # Whatever stands in for a judge's verdict may be more than upstream's sums can take.
    excused = bool(whole.recorder.errors) or (task.tape is not None and bool(reasons))
    if whole.error is not None and not (broken or whole.verdicts or excused):
        raise _failed(task, whole.error)
    verdicts = _sample_table(task, whole, reasons)
    if broken:
        return _withheld(whole, verdicts, broken)
    if whole.error is not None and not excused:
        why = (
            f"VLMEvalKit's own evaluate() fails on this table: {said(whole.error)} (look for cells"
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
    dataset = build(task)
    table = dataset.data.copy()
    path = prediction_path(task, dataset, folder)
    write_predictions(dataset, task.answers, path)
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
    whole: Pass,
    reasons: dict[int, UnscoredReason],
    verdicts: list[Verdict],
) -> Scored:
    kept = [row for row in range(len(task.answers)) if row not in reasons]
    if not kept:
        return _withheld(whole, verdicts, "no sample was scored")
    if broken := whole.family.lacking(whole.table, kept):
        return _withheld(whole, verdicts, broken)
    if task.tape is not None:
        task.tape.frozen = True
    rest = run(task, workdir / "aggregate", kept)
    if rest.error is not None:
        why = (
            f"upstream's evaluate() fails without the unscored rows: {said(rest.error)}"
        )
        return _withheld(whole, verdicts, why + _cure(task))
    changed = [
        verdicts[row].sample_id
        for place, row in enumerate(kept)
        if rest.verdicts.get(place) != whole.verdicts.get(row)
        or rest.recorder.heard.get(place) != whole.recorder.heard.get(row)
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
        None if whole.error is not None or task.tape else _values(task, whole),
        _values(task, rest),
        _rows(whole, reasons),
    )
    # The prediction file is that of every row; all else is without those unscored.
    others = [f for f in _files(rest.path.parent) if f.name != rest.path.name]
    return Scored(
        verdicts=verdicts, metrics=found, withheld="", files=[whole.path, *others]
    )


def _values(task: ScoringTask, made: Pass) -> Any:
    members = {name: scores for name, (_, scores) in made.recorder.members.items()}
    return values_of(task.dataset, made.scores, members)


def _rows(whole: Pass, unscored: Mapping[int, UnscoredReason]) -> Rows:
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
        fault=_fault(whole, unscored),
    )


def _tables(whole: Pass) -> dict[str, Table]:
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


def _fault(whole: Pass, unscored: Mapping[int, UnscoredReason]) -> str:
    """What keeps upstream, left to itself, from printing figures of the whole table."""
    errors = whole.recorder.errors
    if whole.recorder.judged and unscored:
        return (
            "with a judge upstream has failure texts judged, and guesses where it finds no verdict:"
            " what it would print takes more requests"
        )
    if errors:
        row = min(errors)
        sample = whole.table["index"].iloc[row]
        return f"upstream's evaluate() fails at sample {sample}: {errors[row]}"
    return f"upstream's evaluate() fails: {said(whole.error)}" if whole.error else ""


def _reasons(task: ScoringTask, whole: Pass) -> dict[int, UnscoredReason]:
    """Why rows have no verdict: from inference, from upstream's per-row function, from their group."""
    reasons: dict[int, UnscoredReason] = {}
    for row, answer in enumerate(task.answers):
        if answer.reason is not None:
            reasons[row] = answer.reason
        elif row in whole.recorder.ended:
            reasons[row] = whole.recorder.ended[row]
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
    task: ScoringTask, whole: Pass, reasons: dict[int, UnscoredReason]
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


def _withheld(whole: Pass, verdicts: list[Verdict], why: str) -> Scored:
    return Scored(verdicts=verdicts, metrics=[], withheld=why, files=[whole.path])


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in _PUBLISHED)


def _failed(task: ScoringTask, error: Exception) -> ScorerError:
    return ScorerError(f"upstream's evaluate() of {task.dataset} failed: {said(error)}")


def _cure(task: ScoringTask) -> str:
    """What to try where upstream fails on a part of its table."""
    return (
        " (if it needs the whole table, run it without `limit`)" if task.limit else ""
    )
