"""The table a run ends with on the terminal, made from `report.json` alone; the command line prints it.

What it is fed may come from outside: markup is never interpreted and control characters never printed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import (
    Console,
    ConsoleOptions,
    Group,
    RenderableType,
    RenderResult,
)
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from assay.report.headline import (
    MOST_METRICS,
    figure,
    headline_metrics,
    scale_words,
)

Report = Mapping[str, Any]

_MOST_NOTES = 8
_JUDGES = {"exact_matching": "exact matching"}
_GOOD, _BAD = {"COMPLETE"}, {"FAILED", "BELOW_COVERAGE"}


def print_report(report: Report, console: Console) -> None:
    """Prints the run's state, a table with one row per task, what went wrong, and the notes.

    Colour and width are the console's: none and fixed where it is no terminal.
    """
    console.print(render(report))


def render(report: Report) -> RenderableType:
    """What `print_report` prints, for those that put it elsewhere."""
    tasks: Sequence[Report] = report.get("tasks", ())
    shown = WhereItFits(_table(tasks), [_listed(task) for task in tasks])
    parts: list[RenderableType] = [_headline(report), shown]
    parts += [line for task in tasks for line in _explanations(task)]
    parts += _judged(report.get("settings", {}).get("judge", {}))
    notes: Sequence[str] = report.get("notes", ())
    parts += [Text(f"note: {clean(note)}", style="dim") for note in notes[:_MOST_NOTES]]
    if len(notes) > _MOST_NOTES:
        more = f"+{len(notes) - _MOST_NOTES} more notes in report.json"
        parts.append(Text(more, style="dim"))
    return Group(*parts)


def _judged(judge: Report) -> list[Text]:
    """Which judge model was asked, with what, and what that took; nothing where rules alone decided."""
    if "model" not in judge:
        return []
    settings = ", ".join(f"{k}={v}" for k, v in judge["settings"].items())
    said = f"judge {judge['name']}: {judge['model']} at {judge['api_base']}"
    used = judge["used"] or {}
    counts = [
        f"{used[what]} {what}" for what in ("calls", "answers", "failures") if used
    ]
    if used.get("prompt_tokens") or used.get("completion_tokens"):
        counts.append(f"{used['prompt_tokens']} + {used['completion_tokens']} tokens")
    if used.get("cost") is not None:
        counts.append(f"cost {used['cost']:g}")
    parts = [said, *([settings] if settings else []), *counts]
    return [Text(clean("; ".join(parts)), style="dim")]


def clean(text: object) -> str:
    """Text on one line without control characters, which could rewrite the screen."""
    return "".join(c if c.isprintable() else " " for c in str(text))


def _headline(report: Report) -> Text:
    run = report.get("run", {})
    state = str(run.get("state", "?"))
    text = Text("run ")
    text.append(clean(run.get("id", "?")), style="bold")
    if run.get("name"):
        text.append(f" ({clean(run['name'])})")
    text.append(": ")
    text.append(_words(state), style=_style(state))
    if run.get("message"):
        text.append(f" - {clean(run['message'])}")
    return text


class WhereItFits:
    """A table where there is room for it, else the same as a list: broken words help nobody."""

    def __init__(self, table: Table, listed: Sequence[RenderableType]) -> None:
        self._table = table
        self._listed = listed

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        wide = options.update(max_width=10_000)
        fits = Measurement.get(console, wide, self._table).maximum <= options.max_width
        yield from (self._table,) if fits else self._listed


def _table(tasks: Sequence[Report]) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    table.add_column("model")
    table.add_column("dataset")
    table.add_column("score")
    table.add_column("scored", justify="right")
    table.add_column("unscored")
    table.add_column("judge")
    for task in tasks:
        table.add_row(
            Text(clean(task["model"])),
            Text(clean(task["dataset"])),
            _scores(task),
            _scored(task),
            Text(_unscored(task["counts"])),
            Text(_judge(task)),
        )
    return table


def _listed(task: Report) -> Text:
    text = Text(clean(f"{task['model']}/{task['dataset']}"), style="")
    for line in _scores(task).split("\n"):
        text.append("\n  ").append_text(line)
    unscored = _unscored(task["counts"]).replace("\n", ", ")
    text.append(f"\n  scored {_scored(task)}, unscored: {unscored}")
    text.append(f"\n  judge: {_judge(task)}")
    return text


def _judge(task: Report) -> str:
    name = task["judge"]["name"]
    return clean(_JUDGES.get(name, name))


def _scored(task: Report) -> str:
    counts = task["counts"]
    share = _percent(task["coverage"]) if counts["total"] else ""
    return f"{counts['scored']}/{counts['total']}" + (f" ({share})" if share else "")


def _scores(task: Report) -> Text:
    metrics: Sequence[Report] = task["metrics"]
    if not metrics:
        state = str(task["state"])
        nothing = "no score" if state in _GOOD else "withheld"
        word = nothing if task["withheld"] else _words(state)
        return Text(word, style="" if state in _GOOD else _style(state))
    headlines = headline_metrics(metrics)
    shown = headlines[:MOST_METRICS]
    lines = [_metric(metric, task["counts"]["unscored"]) for metric in shown]
    hidden = len(metrics) - len(shown)
    text = Text("\n").join(lines)
    if hidden:
        text.append(f"\n+{hidden} more in report.json", style="dim")
    return text


def _metric(metric: Report, unscored: int) -> Text:
    """`Overall 0.812 of 1, N=500`, its split where it has one, bounds where some are unscored."""
    split = str(metric["split"])
    label = clean(metric["name"])
    if split.lower() not in {"", "none"}:
        label += f" [{clean(split)}]"
    text = Text(f"{label} ")
    low, high = metric["scale"]
    text.append(figure(metric["value"], high), style="bold")
    text.append(scale_words(low, high))
    if metric["n"]:
        text.append(f", N={metric['n']}")
    if unscored and metric.get("bounds"):
        least, most = (figure(bound, high) for bound in metric["bounds"])
        text.append(f"\n  between {least} and {most}", style="dim")
    if unscored and metric.get("upstream_value") is not None:
        value = figure(metric["upstream_value"], high)
        text.append(f"\n  VLMEvalKit would print {value}", style="dim")
    return text


def _percent(coverage: float | None) -> str:
    # Never rounded up to what it is not: 1 of 10,000 lost is not 100%.
    if coverage is None:
        return "not scored"
    text = f"{coverage:.1%}"
    return "<100%" if coverage < 1 and text == "100.0%" else text


def _unscored(counts: Report) -> str:
    reasons: Mapping[str, int] = counts["unscored_by_reason"]
    lines = [f"{clean(reason)} {count}" for reason, count in reasons.items()]
    waiting = sum(int(counts.get(part, 0)) for part in ("pending", "leased"))
    lines += [f"not asked yet {waiting}"] if waiting else []
    return "\n".join(lines) or "none"


def _explanations(task: Report) -> Iterator[Text]:
    name = clean(f"{task['model']}/{task['dataset']}")
    if task["withheld"] and task["state"] in _GOOD:
        # By design, and said in its own words.
        yield Text(f"{name}: {clean(task['withheld'])}", style="dim")
    elif task["withheld"]:
        yield Text(f"{name}: score withheld: {clean(task['withheld'])}", style="yellow")
    if task["message"] and task["message"] != task["withheld"]:
        yield Text(f"{name}: {clean(task['message'])}", style="yellow")
    if task["judge"].get("exhausted"):
        yield Text(
            f"{name}: {task['judge']['exhausted']} samples are scored as VLMEvalKit scores them though no"
            " reply of the judge could be read",
            style="dim",
        )


def _words(state: str) -> str:
    return clean(state).lower().replace("_", " ")


def _style(state: str) -> str:
    return "green" if state in _GOOD else "red" if state in _BAD else "yellow"
