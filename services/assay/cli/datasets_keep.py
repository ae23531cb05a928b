"""`assay datasets verify` and `rm`: what the cache holds, proven or taken away."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from assay.cli.errors import on_one_line, say, told
from assay.cli.sizes import in_words
from assay.domain.errors import AssayError
from assay.domain.prepared import PrepareStage, StageProgress
from assay.process.contract import ExitCode


def list_here(*, as_json: bool) -> None:
    """Prints what the cache holds: names with their bytes and how often each is prepared."""
    with told():
        from assay.dataset.holdings import Holdings  # noqa: PLC0415 - once it is needed
        from assay.local.launch import cache_folder  # noqa: PLC0415

        holdings = Holdings(cache_folder())
        rows = [(n, holdings.size(n), holdings.prepared(n)) for n in holdings.names()]
    if as_json:
        document = [
            {"name": name, "size_bytes": size, "prepared": digests}
            for name, size, digests in rows
        ]
        typer.echo(json.dumps(document, indent=1, ensure_ascii=False))
        return
    for name, size, digests in rows:
        typer.echo(f"{name}\t{in_words(size)}\tprepared {len(digests)} times")
    total = in_words(sum(size for _, size, _ in rows))
    typer.echo(f"{len(rows)} datasets, {total} in {holdings.cache}")


def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME", help="None: everything here.", show_default=False
        ),
    ] = None,
) -> None:
    """Prove stored datasets byte by byte.

    Raw files and prepared parts are read again; what is damaged is named with its cure, and the exit
    code is then 1.
    """
    with told():
        from assay.cli.progress import progress  # noqa: PLC0415 - once it is needed
        from assay.dataset.holdings import Holdings, parts_here  # noqa: PLC0415
        from assay.local.launch import cache_folder  # noqa: PLC0415

        holdings = Holdings(cache_folder())
        here = holdings.names()
        chosen = [part for name in names or () for part in parts_here(name, here)]
        damaged = 0
        with progress() as listener:
            for name in dict.fromkeys(chosen or here):
                damages = holdings.verify(
                    name,
                    lambda done, total, name=name: listener.preparing(  # type: ignore[misc]
                        name, StageProgress(PrepareStage.VERIFYING, done, total)
                    ),
                )
                # A download that was cut is no damage: the next fetch goes on from it.
                state = "DAMAGED" if damages else "incomplete"
                if not damages and holdings.whole(name):
                    state = "sound"
                typer.echo(f"{name}: {state}, {in_words(holdings.size(name))}")
                for damage in damages:
                    typer.echo(f"  {on_one_line(damage.what)}")
                    typer.echo(f"  cure: {damage.cure}")
                damaged += bool(damages)
    if damaged:
        raise typer.Exit(ExitCode.FAILED)


def remove(
    names: Annotated[list[str], typer.Argument(metavar="NAME")],
) -> None:
    """Free what the cache holds of datasets.

    Says how many bytes that were. Your own files (`path`, $LMUData) stay; a dataset that a run uses now
    is refused.
    """
    failed = False
    with told():
        from assay.dataset.holdings import Holdings  # noqa: PLC0415
        from assay.local.launch import cache_folder  # noqa: PLC0415

        holdings = Holdings(cache_folder())
    for name in dict.fromkeys(names):
        try:
            freed = holdings.remove(name)
        except AssayError as error:
            say(error)
            failed = True
        else:
            typer.echo(f"{name}: {freed} bytes freed ({in_words(freed)})")
    if failed:
        raise typer.Exit(ExitCode.FAILED)
