"""Fetches the files of a run's result through the aggregator: nobody needs a way to the store.

Every file is checked against its digest; one that was cut goes on where it was, and one that changed on the
way is begun again.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from assay.cluster.session import Session
from assay.domain.errors import (
    ChangedError,
    CorruptError,
    StoreUnavailableError,
    TransientError,
)
from assay.domain.snapshot import ResultFile
from assay.kube.backoff import Backoff
from assay.rpc.run_results_client import RunResultsClient

_ATTEMPTS = 6
REPORT, PAGE = "report.json", "report.html"
_PICTURES = "report.pictures/"


async def fetch_results(
    session: Session,
    run_id: str,
    folder: Path,
    *,
    only: Sequence[str] = (),
    page: bool = True,
    on_file: Callable[[str], None] = lambda _path: None,
) -> list[Path]:
    """Writes files of a result below a folder, under their own paths; returns where they are.

    Args:
        session: with the aggregator.
        run_id: the execution.
        folder: made if need be; files of other results that are there stay.
        only: paths; empty: all files.
        page: with the page and its pictures, where the aggregator has drawn one.
        on_file: told of each path before its bytes are fetched.

    Raises:
        NotFoundError: no such run, or no such file of it.
        CorruptError: what came is not what was said.
        StoreUnavailableError: it cannot be written.
        UnavailableError: the aggregator cannot be reached, or went away again and again.
    """
    results = session.results
    paths = list(only)
    if not paths:
        listed = await session.ask(lambda: results.files(run_id))
        paths = [file.path for file in listed if page or not _of_page(file.path)]
    written = []
    for path in paths:
        on_file(path)
        target = folder / _below(path)
        await _fetch(results, run_id, path, target)
        written.append(target)
    return written


def _of_page(path: str) -> bool:
    return path == PAGE or path.startswith(_PICTURES)


def _below(path: str) -> PurePosixPath:
    """A path that stays below the folder, whatever the other side says."""
    plain = PurePosixPath(path)
    if plain.is_absolute() or ".." in plain.parts or not plain.parts:
        raise CorruptError(f"the aggregator names a file {path!r}, which is no path")
    return plain


async def _fetch(
    results: RunResultsClient, run_id: str, path: str, target: Path
) -> None:
    """One file, whole or not at all."""
    partial = target.with_name(f".{target.name}.part")
    backoff = Backoff(0.5, 10.0)
    failures = have = 0
    sha256 = ""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as out:
            while True:
                try:
                    parts = results.fetch(run_id, path, offset=have, sha256=sha256)
                    async for part in parts:
                        if isinstance(part, ResultFile):
                            sha256 = part.sha256
                        else:
                            out.write(part)
                            have += len(part)
                            failures = 0
                    break
                except ChangedError:
                    out.truncate(0)
                    out.seek(0)
                    have, sha256 = 0, ""
                    failures += 1
                    if failures == _ATTEMPTS:
                        raise
                except TransientError as error:
                    failures += 1
                    if failures == _ATTEMPTS:
                        raise
                    await asyncio.sleep(backoff.next(error.retry_after or 0.0))
        _check(partial, path, sha256)
        partial.replace(target)
    except OSError as error:
        raise StoreUnavailableError(
            f"cannot write {target}: {error.strerror or error}",
            cure="name another folder with -o",
        ) from error
    finally:
        # What is wrong with the folder has been said.
        with suppress(OSError):
            partial.unlink()


def _check(file: Path, path: str, sha256: str) -> None:
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != sha256:
        raise CorruptError(
            f"{path} came with another digest than it was said to have: {found} instead of {sha256}",
            cure="fetch it again",
        )
