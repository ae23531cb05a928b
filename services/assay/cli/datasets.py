"""`assay datasets`: the documented names and what each can be used for here; the other commands' place."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

import typer

from assay.cli.datasets_bundle import export, import_
from assay.cli.datasets_fetch import fetch
from assay.cli.datasets_keep import list_here, remove, verify
from assay.cli.errors import DONE_CODES
from assay.domain import catalog
from assay.domain.catalog import Entry

app = typer.Typer(
    name="datasets",
    help="The datasets VLMEvalKit knows, and what is kept of them here.",
    epilog=DONE_CODES,
    no_args_is_help=True,
)

_FETCH_CODES = (
    "Exit codes: 0 done; 2 refused, nothing was started; 130 stopped on request (Ctrl-C), can go on; "
    "1 anything else."
)
_VERIFY_CODES = (
    "Exit codes: 0 done, nothing is damaged; 2 refused, nothing was started; 1 something is damaged, or "
    "anything else."
)
_COLUMNS = ("name", "state", "family", "judge", "source", "reason")


class Use(StrEnum):
    """What a name can be used for here."""

    SCORES = "scores"
    INFER_ONLY = "infer-only"
    NEEDS_JUDGE = "needs judge"
    NOT_YET = "not yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One line of the list: a catalog entry and what it means here."""

    entry: Entry
    use: Use
    reason: str


@app.callback()
def datasets() -> None:
    """The datasets VLMEvalKit knows, and what is kept of them here."""


@app.command("list", epilog=DONE_CODES)
def list_datasets(
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON list instead of the table.")
    ] = False,
    here: Annotated[
        bool,
        typer.Option("--here", help="List what is kept on this machine instead."),
    ] = False,
) -> None:
    """List the documented names.

    With family, judge need, source, and what each can be used for here: scores, infer-only, needs
    judge, or not yet, with the reason.
    """
    if here:
        list_here(as_json=as_json)
        return
    rows = listed()
    if as_json:
        document = [_json(row) for row in rows]
        typer.echo(json.dumps(document, indent=1, ensure_ascii=False))
    elif sys.stdout.isatty():
        draw(rows)
    else:
        for cells in (_COLUMNS, *map(_cells, rows)):
            typer.echo("\t".join(cells))


app.command("fetch", epilog=_FETCH_CODES)(fetch)
app.command("verify", epilog=_VERIFY_CODES)(verify)
app.command("rm", epilog=DONE_CODES)(remove)
app.command("export", epilog=DONE_CODES)(export)
app.command("import", epilog=DONE_CODES)(import_)


def listed() -> list[Listed]:
    """All documented names, sorted."""
    entries = [catalog.lookup(name) for name in catalog.names()]
    return [_listed(entry) for entry in entries if entry is not None]


def _listed(entry: Entry) -> Listed:
    return Listed(entry=entry, use=Use(entry.state.value), reason=entry.reason)


def _json(row: Listed) -> dict[str, object]:
    entry = row.entry
    return {
        "name": entry.name,
        "state": row.use,
        "reason": row.reason,
        "cure": entry.cure,
        "family": entry.family,
        "type": entry.type,
        "class": entry.cls,
        "judge": entry.judge,
        "answers": entry.answers,
        "url": entry.url,
        "md5": entry.md5,
        "members": entry.members,
        "renamed": entry.renamed,
    }


def _cells(row: Listed) -> tuple[str, ...]:
    entry = row.entry
    words = (entry.name, row.use, entry.family, entry.judge)
    return (*map(str, words), _source(entry), row.reason or "-")


def _source(entry: Entry) -> str:
    """The address, or what stands for it; a name that changed has that of its new name."""
    if entry.renamed:
        return f"as {entry.renamed}"
    if entry.members:
        return f"{len(entry.members)} datasets"
    return entry.url or "-"


def draw(rows: list[Listed]) -> None:
    """Prints the table and what it adds up to."""
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - not before something is drawn
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    console = Console()
    reasons = list(dict.fromkeys(row.reason for row in rows if row.reason))
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for column in _COLUMNS:
        # Only one name is very long; all else keeps its shape on a narrow screen.
        table.add_column(column, no_wrap=column != "name", overflow="fold")
    for row in rows:
        name, use, family, judge, url, reason = _cells(row)
        # The host's first word says enough; --json has the address.
        host = (urlsplit(url).hostname or url).partition(".")[0]
        host = "renamed" if row.entry.renamed else host
        # Few reasons stand for many names: a number here, the sentence below.
        why = str(reasons.index(reason) + 1) if row.reason else reason
        table.add_row(name, use, family, judge, host, why)
    console.print(table, markup=False)
    for number, reason in enumerate(reasons, 1):
        typer.echo(f"reason {number}: {reason}")
    for entry in (row.entry for row in rows if row.entry.renamed):
        typer.echo(
            f"{entry.name} is called {entry.renamed} now and runs under that name"
        )
    uses = [row.use for row in rows]
    counted = ", ".join(f"{uses.count(use)} {use}" for use in Use if use in uses)
    typer.echo(f"{len(rows)} names: {counted}")
