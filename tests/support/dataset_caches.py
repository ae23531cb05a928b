"""A cache with one dataset of one's own, fetched over HTTP and prepared, to be looked after in tests."""

from __future__ import annotations

import asyncio
from pathlib import Path

from assay.domain.prepared import PreparedRef
from support.dataset_process import mcq_rows, write_tsv
from support.dataset_service import make_service, ready, request
from support.faulty_server import faulty_server

NAME = "Mine"
URL = "http://files.invalid/mine.tsv"


def fetched_cache(cache: Path, name: str = NAME, rows: int = 3) -> PreparedRef:
    """Fetches and prepares; what was asked for is `URL`, whatever the server's address was."""
    content = write_tsv(cache.with_name(f"{name}.tsv"), mcq_rows(rows)).read_bytes()

    async def fetch() -> PreparedRef:
        service, _ = make_service(cache)
        async with faulty_server(content) as server:
            mirrors = {"http://files.invalid": server.url}
            ref, _ = await ready(service, request(name, mirrors, url=URL))
        return ref

    return asyncio.run(fetch())


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, but locks."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.parent.name != "locks"
    }
