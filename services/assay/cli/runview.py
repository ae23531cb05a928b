"""An EvalRun on the terminal: one line per condition and execution, a table of tasks.

Names and messages come from outside: markup is never interpreted and control characters never printed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from assay.cluster.evalruns import Condition, EvalRun, Execution, Task
from assay.report.terminal import WhereItFits, clean

_GOOD, _BAD = {"Complete"}, {"Failed", "Refused", "BelowCoverage", "Cancelled"}
_MARKS = {"True": "yes", "False": "no", "Unknown": "?"}


def as_document(item: EvalRun) -> dict[str, Any]:
    """What `--json` prints: the status as it stands, and whose it is."""
    status: dict[str, Any] = msgspec.to_builtins(item.status)
    return {
        "name": item.name,
        "namespace": item.metadata.namespace,
        "release": item.release,
        "state": item.state,
        "ended": item.ended is not None,
        "status": status,
    }


def show(item: EvalRun, console: Console | None = None) -> None:
    """Prints it."""
    console = console or Console()
    console.print(_headline(item))
    status = item.status
    for condition in status.conditions or ():
        console.print(_condition(condition), soft_wrap=True)
    if status.tasks:
        listed = [_listed(task) for task in status.tasks]
        console.print(WhereItFits(_tasks(status.tasks), listed))
        for line in _explanations(status.tasks):
            console.print(line, soft_wrap=True)
    elif status.progress:
        console.print(Text(f"answered: {clean(status.progress)}"))
    for execution in status.executions or ():
        console.print(_execution(execution), soft_wrap=True)
    if status.store:
        console.print(Text(f"results lie in {clean(status.store)}"), soft_wrap=True)


def _headline(item: EvalRun) -> Text:
    text = Text("run ")
    text.append(clean(item.name), style="bold")
    text.append(": ")
    text.append(item.state, style=_style(item.state))
    if item.status.progress:
        text.append(f", {clean(item.status.progress)} answered")
    if item.release:
        text.append(f" (release {clean(item.release)})")
    else:
        text.append(" (of no release: its label app.kubernetes.io/instance is missing)")
    return text


def _style(state: str) -> str:
    return "green" if state in _GOOD else "red" if state in _BAD else ""


def _condition(told: Condition) -> Text:
    text = Text(f"  {told.type:<13} {_MARKS.get(told.status, told.status):<4}")
    text.append(clean(told.reason))
    if told.message:
        text.append(f": {clean(told.message)}")
    return text


def _tasks(tasks: list[Task]) -> Table:
    table = Table("task", "state", box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in ("answered", "score", "coverage", "unscored"):
        table.add_column(column, justify="right")
    for task in tasks:
        table.add_row(Text(_name(task)), Text(_state(task)), *_figures(task))
    return table


def _listed(task: Task) -> Text:
    answered, score, coverage, unscored = _figures(task)
    return Text(
        f"{_name(task)}: {_state(task)}, {answered} answered, score {score}, coverage {coverage}, "
        f"unscored {unscored}"
    )


def _name(task: Task) -> str:
    return clean(f"{task.model}/{task.dataset}")


def _state(task: Task) -> str:
    return clean(task.state.lower().replace("_", " "))


def _figures(task: Task) -> tuple[str, str, str, str]:
    decided = task.scored + task.unscored == task.total > 0
    return (
        f"{task.answered}/{task.total}",
        "-" if task.score is None else f"{task.score:.4g}",
        f"{task.scored / task.total:.1%}" if decided else "-",
        str(task.unscored) if task.unscored else "-",
    )


def _explanations(tasks: list[Task]) -> Iterator[Text]:
    """What tasks have to say, once for all that say the same."""
    by_message: dict[str, list[str]] = {}
    for task in tasks:
        if task.message:
            by_message.setdefault(task.message, []).append(_name(task))
    for message, names in by_message.items():
        yield Text(f"{', '.join(names)}: {clean(message)}")


def _execution(told: Execution) -> Text:
    text = Text(f"execution {clean(told.run_id)}: ")
    text.append(clean(told.state), style=_style(told.state))
    if told.started:
        text.append(f", started {_when(told.started)}")
    if told.finished:
        text.append(f", finished {_when(told.finished)}")
    return text


def _when(moment: str) -> str:
    """RFC 3339 as people read it."""
    return clean(moment)[:19].replace("T", " ") + " UTC"
