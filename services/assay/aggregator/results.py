"""Files of a run's result, read piece by piece out of the store; nothing is taken over for it.

The servicer calls it for `Report`: an object store's presigned addresses are of no use to a laptop outside
the cluster, so its files come through here.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator

from assay.aggregator.means import Means
from assay.domain.errors import ChangedError, ConfigError, NotFoundError
from assay.domain.snapshot import ResultFile
from assay.store import keys

PIECE_BYTES = 1024 * 1024
_AT_ONCE = 4
"""Files that are looked at at a time: a store far away takes its time for each."""


async def names(means: Means) -> AsyncIterator[ResultFile]:
    """The files of the run's result, by path."""
    prefix = keys.result(means.run_id, "")
    found = await means.block(lambda: list(means.store.list(prefix)))
    paths = [path for key in found if not _hidden(path := key.removeprefix(prefix))]
    for start in range(0, len(paths), _AT_ONCE):
        some = paths[start : start + _AT_ONCE]
        measured = (means.block(means.store.size, prefix + path) for path in some)
        for path, size in zip(some, await asyncio.gather(*measured), strict=True):
            if size is not None:
                yield ResultFile(path=path, size=size)


async def pieces(
    means: Means, path: str, offset: int, sha256: str
) -> AsyncIterator[ResultFile | bytes]:
    """What a file is, then its bytes from `offset` on.

    Raises:
        ConfigError: the path leads out of the result.
        NotFoundError: there is no such file.
        ChangedError: it is not the one of that digest.
    """
    key = _key(means.run_id, path)
    file = await _digested(means, key, path)
    if sha256 and sha256 != file.sha256:
        raise ChangedError(
            f"cannot go on with {path} of run {means.run_id}: it was written anew",
            cure="fetch it from its beginning",
        )
    yield file
    for start in range(max(offset, 0), file.size, PIECE_BYTES):
        most = min(PIECE_BYTES, file.size - start)
        yield await means.block(means.store.get_range, key, start, most)


async def _digested(means: Means, key: str, path: str) -> ResultFile:
    """A file with its digest: it is read once to know what it is, and once more to be sent."""
    size = await means.block(means.store.size, key)
    if size is None:
        raise NotFoundError(
            f"cannot find {path} among the results of run {means.run_id}",
            cure="a report is there once the run has ended; tables, once their task was scored",
        )
    digest = hashlib.sha256()
    for start in range(0, size, PIECE_BYTES):
        # Piece by piece: in between others get their turn.
        piece = await means.block(means.store.get_range, key, start, PIECE_BYTES)
        digest.update(piece)
    return ResultFile(path=path, size=size, sha256=digest.hexdigest())


def _key(run_id: str, path: str) -> str:
    parts = path.split("/")
    if _hidden(path) or "\0" in path or "" in parts:
        raise ConfigError(
            "path",
            f"{path[:100]!r} is no file of a run's result",
            "name one of those that are listed",
        )
    return keys.result(run_id, path)


def _hidden(path: str) -> bool:
    """Whether a name begins with a dot: what stands there is no result, or leads out of it."""
    return any(part.startswith(".") for part in path.split("/"))
