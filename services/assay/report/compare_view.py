"""The tables of `assay compare` on the terminal, made from its document alone.

What it is fed may come from outside: markup is never interpreted and control characters never printed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from assay.report.headline import headline_metrics
from assay.report.terminal import WhereItFits, clean

Json = Mapping[str, Any]

_MOST_METRICS = 40
_TINY = 0.001
_FIGURES = ("A", "B", "B - A", "paired, with interval", "n")
_UNPAIRED = _FIGURES[:3]
_LINE_STARTS = {"A", "paired, with interval"}


def print_comparison(document: Json, console: Console) -> None:
    """Prints what differs between two models, or between each pair of them."""
    for pair in document["pairs"]:
        console.print(Group(*_pair(pair)))
    percent = f"{document['confidence']:.0%}"
    console.print(
        Text(f"{percent} intervals. {clean(document['method'])}", style="dim")
    )


def _pair(pair: Json) -> Iterator[RenderableType]:
    for letter in "ab":
        side = pair[letter]
        name = f" ({clean(side['name'])})" if side["name"] else ""
        line = Text(f"{letter.upper()}: ")
        line.append(clean(side["model"]), style="bold")
        yield line.append(f" of run {clean(side['run'])}{name}")
    yield _figures(pair["datasets"])
    for dataset in pair["datasets"]:
        yield from _samples(dataset)
    for key in ("only_a", "only_b"):
        if pair[key]:
            names = ", ".join(map(clean, pair[key]))
            yield Text(f"only {key[-1].upper()} has {names}", style="yellow")
    yield from _settings(pair["settings"])
    yield Text("")


def _figures(datasets: Sequence[Json]) -> WhereItFits:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    table.add_column("dataset")
    table.add_column("metric")
    for name in _FIGURES:
        table.add_column(name, justify="right", no_wrap=True)
    listed = []
    for dataset in datasets:
        name = clean(dataset["dataset"])
        for label, figures in _rows(dataset):
            table.add_row(name, label, *figures)
            listed.append(_block(name, label, figures))
    return WhereItFits(table, listed)


def _rows(dataset: Json) -> Iterator[tuple[Text, Sequence[Text]]]:
    """Every figure of a dataset: what it is called, and what stands in the columns of figures."""
    first = headline_metrics(dataset["metrics"])
    ordered = first + [m for m in dataset["metrics"] if m not in first]
    for metric in ordered[:_MOST_METRICS]:
        yield _label(metric), list(_values(metric))
    if len(ordered) > _MOST_METRICS:
        more = f"+{len(ordered) - _MOST_METRICS} more with --json"
        yield Text(more, style="dim"), []
    if not ordered:
        words = [
            Text(clean(state).lower().replace("_", " "), style="yellow")
            for state in dataset["states"]
        ]
        yield Text("no figures"), words


def _block(dataset: str, label: Text, figures: Sequence[Text]) -> Text:
    """A row of the table with its names on a line of their own, whatever their length."""
    text = Text(f"{dataset} ").append_text(label)
    names = _FIGURES if figures and figures[-1].plain != "-" else _UNPAIRED
    for name, figure in zip(names, figures, strict=False):
        text.append("\n  " if name in _LINE_STARTS else ", ")
        text.append(f"{name} ").append_text(figure)
    return text


def _label(metric: Json) -> Text:
    split = str(metric["split"])
    shown = "" if split.lower() in {"", "none"} else f" [{clean(split)}]"
    return Text(clean(metric["name"]) + shown)


def _values(metric: Json) -> Iterator[Text]:
    high = metric["scale"][1]
    for side in "ab":
        value = metric[side]
        yield Text("-" if value is None else _number(value, high))
    difference = metric["difference"]
    yield Text("-" if difference is None else _signed(difference, high))
    yield _interval(metric["paired"], high)
    yield Text("-" if metric["paired"] is None else str(metric["paired"]["n"]))


def _interval(paired: Json | None, high: float | None) -> Text:
    """`-0.030 (-0.061 to +0.001)`; bold where it is all on one side of zero."""
    if paired is None:
        return Text("-")
    text = _signed(paired["difference"], high)
    if paired["low"] is None:
        return Text(text)
    low, top = (_signed(paired[end], high) for end in ("low", "high"))
    clear = paired["low"] > 0 or paired["high"] < 0
    return Text(f"{text} ({low} to {top})", style="bold" if clear else "")


def _samples(dataset: Json) -> Iterator[Text]:
    samples, found = dataset["samples"], dataset["agreement"]
    name = clean(dataset["dataset"])
    text = Text(f"{name}: ", style="bold")
    text.append(f"{samples['compared']} samples compared", style="not bold")
    left = samples["not_comparable"]
    if left:
        parts = ", ".join(f"{clean(reason)} {count}" for reason, count in left.items())
        text.append(f"; not comparable: {parts}", style="not bold yellow")
    yield text
    if found is not None:
        yield Text(
            f"  right: both {found['both_right']}, only A {found['only_a']}, only B"
            f" {found['only_b']}, neither {found['neither']}; {_p_value(found['p_value'])};"
            f" same prediction {found['same_prediction']}"
        )
        yield Text(
            f"  same score {found['same_score']} of {samples['compared']};"
            f" {_kappa(found['cohens_kappa'])}"
        )
        mean = found["mean_score"]
        yield Text(
            f"  mean sample score: A {mean['a']:.3f}, B {mean['b']:.3f}, B - A "
        ).append_text(_interval(mean["paired"], 1))


def _kappa(kappa: float | None) -> str:
    if kappa is None:
        return "no kappa: every score is the same"
    return f"Cohen's kappa {kappa:.3f}"


def _p_value(p: float | None) -> str:
    if p is None:
        return "no sample tells them apart"
    return "McNemar p < 0.001" if p < _TINY else f"McNemar p = {p:.3f}"


def _settings(settings: Sequence[Json]) -> Iterator[RenderableType]:
    if not settings:
        yield Text("settings: all equal")
        return
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for name in ("settings that differ", "", "A", "B"):
        table.add_column(name, overflow="fold")
    for setting in settings:
        table.add_row(*(Text(clean(setting[key])) for key in ("of", "name", "a", "b")))
    yield table


def _number(value: float, high: float | None) -> str:
    return f"{value:.3f}" if high is not None and high <= 1 else f"{value:.2f}"


def _signed(value: float, high: float | None) -> str:
    return ("+" if value > 0 else "") + _number(value, high)
