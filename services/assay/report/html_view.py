"""What the page shows of `report.json`, as plain values its template only has to place; `html` calls it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay.report.headline import headline_metrics
from assay.report.html_samples import (
    PARTLY,
    RIGHT,
    UNJUDGED,
    UNSCORED,
    WRONG,
    SampleTable,
)
from assay.report.means import samples_behind
from assay.report.terminal import clean

Report = Mapping[str, Any]

_MOST_FIGURES = 300
_MOST_CATEGORIES = 80
_BAR = 1000.0
"""Width of a bar in the units of its drawing."""
_KINDS = ((RIGHT, "right"), (PARTLY, "partly"), (WRONG, "wrong"))
_REST = ((UNSCORED, "unscored"), (UNJUDGED, "unjudged"))
_HEATS = 8


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric; `part` is where it stands on its scale (0 to 1), None where withheld.

    `bounds` and `upstream` (what VLMEvalKit would have printed) are said where samples are unscored.
    """

    name: str
    split: str
    text: str
    scale: str
    n: int
    part: float | None
    bounds: str = ""
    upstream: str = ""

    @property
    def width(self) -> float:
        """Of its bar."""
        return round((self.part or 0.0) * _BAR, 1)

    @property
    def label(self) -> str:
        """Name and split."""
        return f"{self.name} · {self.split}" if self.split else self.name


@dataclass(frozen=True, slots=True)
class Slice:
    """One part of a stacked bar."""

    kind: str
    count: int
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Category:
    """A category's samples by verdict."""

    name: str
    total: int
    slices: tuple[Slice, ...]
    right: str


@dataclass(frozen=True, slots=True)
class TaskView:
    """One task as a section of the page; `table` is None where it has no samples."""

    number: int
    model: str
    dataset: str
    state: str
    good: bool
    message: str
    withheld: str
    headlines: tuple[Figure, ...]
    figures: tuple[Figure, ...]
    more_figures: int
    categories: tuple[Category, ...]
    more_categories: int
    scored: int
    total: int
    coverage: str
    waiting: int
    slices: tuple[Slice, ...]
    reasons: tuple[tuple[str, int], ...]
    judge: str
    details: tuple[tuple[str, str], ...]
    files: tuple[str, ...]
    table: SampleTable | None


@dataclass(frozen=True, slots=True)
class Cell:
    """A model's figure on a dataset."""

    task: int
    text: str
    heat: str
    best: bool
    note: str


def task_view(number: int, task: Report, table: SampleTable | None) -> TaskView:
    """The section of one task of a report."""
    counts = task["counts"]
    headlines = headline_metrics(task["metrics"])
    others = [m for m in task["metrics"] if m not in headlines]
    tally = Counter(table.verdicts) if table else Counter()
    categories = _categories(table, shares=not task["withheld"])
    return TaskView(
        number=number,
        model=clean(task["model"]),
        dataset=clean(task["dataset"]),
        state=words(task["state"]),
        good=task["state"] == "COMPLETE",
        message=clean(task["message"]) if task["message"] != task["withheld"] else "",
        withheld=clean(task["withheld"]),
        headlines=tuple(_figure(m, task, table) for m in headlines),
        figures=tuple(_figure(m, task) for m in others[:_MOST_FIGURES]),
        more_figures=max(len(others) - _MOST_FIGURES, 0),
        categories=categories[:_MOST_CATEGORIES],
        more_categories=max(len(categories) - _MOST_CATEGORIES, 0),
        scored=counts["scored"],
        total=counts["total"],
        coverage=_percent(task["coverage"]),
        waiting=counts.get("pending", 0) + counts.get("leased", 0),
        slices=_slices(tally),
        reasons=tuple(
            (clean(reason), count)
            for reason, count in counts["unscored_by_reason"].items()
        ),
        judge=_judge(task["judge"]),
        details=tuple(flat({**task["digests"], **task["provenance"]})),
        files=tuple(clean(file) for file in task["files"]),
        table=table,
    )


def matrix(
    tasks: Sequence[TaskView],
) -> tuple[list[str], list[tuple[str, list[Cell | None]]]]:
    """Datasets, and per model a cell for each; cells of one dataset compare only equal figures."""
    datasets = list(dict.fromkeys(task.dataset for task in tasks))
    models = list(dict.fromkeys(task.model for task in tasks))
    found = {(task.model, task.dataset): task for task in tasks}
    best = {name: _best([t for t in tasks if t.dataset == name]) for name in datasets}
    rows = []
    for model in models:
        cells = [_cell(found.get((model, name)), best[name]) for name in datasets]
        rows.append((model, cells))
    return datasets, rows


def flat(document: Report, prefix: str = "") -> list[tuple[str, str]]:
    """A document as (path, text) in its own order, what is empty left out."""
    found: list[tuple[str, str]] = []
    for key, value in document.items():
        name = f"{prefix}{clean(key)}"
        if isinstance(value, Mapping):
            found += flat(value, f"{name} · ")
        elif isinstance(value, list):
            found += [(name, ", ".join(clean(item) for item in value))] if value else []
        elif value not in (None, ""):
            text = str(value).lower() if isinstance(value, bool) else value
            found.append((name, clean(text)))
    return found


def words(state: object) -> str:
    """A state as a person reads it."""
    return clean(state).lower().replace("_", " ")


def _figure(metric: Report, task: Report, table: SampleTable | None = None) -> Figure:
    low, high = metric["scale"]
    split = clean(metric["split"])
    name = clean(metric["name"])
    hidden = split.lower() in {"none", "", name.lower()}
    return Figure(
        name=name,
        split="" if hidden else split,
        text=_number(metric["value"], high),
        scale=_scale(low, high),
        n=metric["n"],
        part=_part(metric["value"], low, high),
        bounds=_bounds(metric, task, table),
        upstream=_upstream(metric, task),
    )


def _number(value: float | None, high: float | None) -> str:
    if value is None:
        return "withheld"
    return f"{value:.3f}" if high is not None and high <= 1 else f"{value:.2f}"


def _scale(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return ""
    return f"of {high:g}" if low == 0 else f"({low:g} to {high:g})"


def _part(value: float | None, low: float | None, high: float | None) -> float | None:
    if value is None or low is None or high is None or high <= low:
        return None
    return min(max((value - low) / (high - low), 0.0), 1.0)


def _percent(share: float | None) -> str:
    # Never rounded up to what it is not: 1 of 10,000 lost is not 100%.
    if share is None:
        return "not scored"
    text = f"{share:.1%}"
    return "<100%" if share < 1 and text == "100.0%" else text


def _upstream(metric: Report, task: Report) -> str:
    if not task["counts"]["unscored"]:
        return ""
    value = metric.get("upstream_value")
    if value is not None:
        return _number(value, metric["scale"][1])
    reason = metric.get("upstream_reason")
    return f"not known: {clean(reason)}" if reason else ""


def _bounds(metric: Report, task: Report, table: SampleTable | None) -> str:
    """Lowest and highest the figure could be, had every sample a verdict; empty: not known.

    Where the scorer did not say, only if the figure is seen to be the mean of scores from 0 to 1 over
    all scored samples.
    """
    if metric.get("bounds") and task["counts"]["unscored"]:
        least, most = (_number(bound, metric["scale"][1]) for bound in metric["bounds"])
        return f"{least} and {most}"
    columns = table.columns if table and task["counts"]["unscored"] else None
    if columns is None:
        return ""
    scores = columns["score"]
    rows = samples_behind(metric, task["metrics"], scores, columns["category"])
    missing = sum(scores[row] is None for row in rows or ())
    if not rows or not missing:
        return ""
    total = sum(scores[row] or 0 for row in rows)
    high = metric["scale"][1]
    least, most = (part / len(rows) * high for part in (total, total + missing))
    return f"{_number(least, high)} and {_number(most, high)}"


def _slices(tally: Counter[str]) -> tuple[Slice, ...]:
    total, x, found = tally.total(), 0.0, []
    for letter, kind in (*_KINDS, *_REST):
        if tally[letter]:
            width = tally[letter] / total * _BAR
            found.append(Slice(kind, tally[letter], round(x, 2), round(width, 2)))
            x += width
    return tuple(found)


def _categories(table: SampleTable | None, *, shares: bool) -> tuple[Category, ...]:
    """Of a task's samples; none where all are of one. Shares would tell a score that is withheld."""
    tallies = table.by_category() if table else {}
    if len(tallies) < 2:  # noqa: PLR2004 - one category is the whole
        return ()
    return tuple(
        Category(
            clean(name),
            tally.total(),
            _slices(tally),
            _share_right(tally) if shares else "",
        )
        for name, tally in tallies.items()
    )


def _share_right(tally: Counter[str]) -> str:
    judged = sum(tally[letter] for letter, _ in _KINDS)
    return f"{tally[RIGHT] / judged:.1%}" if judged else ""


def _best(tasks: Sequence[TaskView]) -> float | None:
    """The highest headline where at least two can be compared."""
    firsts = [task.headlines[0] for task in tasks if task.headlines]
    parts = [figure.part for figure in firsts if figure.part is not None]
    same = len({(figure.name, figure.scale) for figure in firsts}) == 1
    return max(parts) if same and len(parts) > 1 else None


def _cell(task: TaskView | None, best: float | None) -> Cell | None:
    if task is None:
        return None
    if not task.headlines:
        word = "withheld" if task.withheld else task.state
        word = "no score" if task.withheld and task.good else word
        return Cell(task.number, word, "none", best=False, note="")
    figure = task.headlines[0]
    heat = "none" if figure.part is None else str(round(figure.part * _HEATS))
    top = best is not None and figure.part == best
    return Cell(task.number, figure.text, heat, best=top, note=figure.label)


def _judge(judge: Mapping[str, Any]) -> str:
    """Who decided, and where it was asked."""
    name = clean(judge["name"]).replace("_", " ")
    if "model" not in judge:
        return name
    return f"{name} ({clean(judge['model'])} at {clean(judge['api_base'])})"
