"""An EvalRun on the terminal: one line per condition, a table of tasks, the executions.

Names and messages come from outside: markup is never interpreted and control characters never printed.
"""

from __future__ import annotations

from typing import Any

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from assay.cluster.evalruns import Condition, EvalRun, Task
from assay.report.terminal import clean

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
        console.print(_tasks(status.tasks))
        for task in status.tasks:
            if task.message:
                line = f"{task.model}/{task.dataset}: {task.message}"
                console.print(Text(clean(line)), soft_wrap=True)
    elif status.progress:
        console.print(Text(f"answered: {clean(status.progress)}"))
    if status.executions:
        console.print(_executions(item))
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
    table = Table("task", "state", box=SIMPLE_HEAD, pad_edge=False)
    for column in ("answered", "score", "coverage", "unscored"):
        table.add_column(column, justify="right")
    for task in tasks:
        known = task.scored + task.unscored
        table.add_row(
            Text(clean(f"{task.model}/{task.dataset}")),
            Text(clean(task.state.lower().replace("_", " "))),
            f"{task.answered}/{task.total}",
            "-" if task.score is None else f"{task.score:.4g}",
            f"{task.scored / task.total:.1%}" if task.total and known else "-",
            str(task.unscored) if task.unscored else "-",
        )
    return table


def _executions(item: EvalRun) -> Table:
    table = Table(
        "execution", "state", "started", "finished", box=SIMPLE_HEAD, pad_edge=False
    )
    for each in item.status.executions or ():
        words = (each.run_id, each.state, each.started, each.finished or "-")
        table.add_row(*(Text(clean(word)) for word in words))
    return table
