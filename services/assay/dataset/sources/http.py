"""Downloads a raw file over http(s): resumed where it was cut, hashed while it streams.

The part that has come stands in the cache until it is whole, so that a later run goes on from it.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

import aiohttp
import structlog

from assay.dataset.sources.digests import Digests, Hasher
from assay.dataset.sources.limits import Patience, Progress, check_room
from assay.dataset.sources.resolve import HttpAddress
from assay.domain.errors import DatasetError, SourceUnavailableError, StoreFullError

_log = structlog.get_logger(__name__)

_CHUNK_BYTES = 1024 * 1024
_TRY_AGAIN = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT})
_TLS_CURE = (
    "mend the server's certificate, or name a `mirrors` address with a valid one"
)


class _CutError(Exception):
    """An attempt ended early in a way that another one may mend."""

    def __init__(self, why: str, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.retry_after = retry_after


@dataclass(slots=True)
class _Part:
    """The part of a file that has come, and what the server called that version of it."""

    path: Path
    hasher: Hasher
    validator: str = ""
    total: int = 0

    @property
    def note(self) -> Path:
        return self.path.with_suffix(".json")

    def remember(self) -> None:
        note = {"validator": self.validator, "total": self.total}
        self.note.write_text(json.dumps(note))

    def restart(self) -> None:
        self.path.write_bytes(b"")
        self.hasher, self.validator, self.total = Hasher(), "", 0


async def download(
    name: str,
    address: HttpAddress,
    target: Path,
    progress: Progress,
    patience: Patience,
) -> Digests:
    """Brings the whole file to `target`.

    Raises:
        SourceUnavailableError: the server does not answer, or cuts every attempt.
        DatasetError: it answers that it will not give the file.
        StoreFullError: the file does not fit.
    """
    part = await asyncio.to_thread(_open_part, target)
    timeout = aiohttp.ClientTimeout(
        total=None, sock_connect=patience.connect, sock_read=patience.stall
    )
    headers = {"Accept-Encoding": "identity", "User-Agent": "assay"}
    try:
        async with (
            asyncio.timeout(patience.total),
            aiohttp.ClientSession(
                timeout=timeout,
                headers=headers,
                trust_env=True,
                auto_decompress=False,
            ) as session,
        ):
            return await _until_whole(name, address, session, part, progress, patience)
    except TimeoutError as error:
        raise SourceUnavailableError(
            f"cannot fetch dataset {name} from {address}: not whole after {patience.total:.0f} s",
            cure="run again: it goes on from what has come",
        ) from error


async def _until_whole(  # noqa: PLR0917 - one private caller
    name: str,
    address: HttpAddress,
    session: aiohttp.ClientSession,
    part: _Part,
    progress: Progress,
    patience: Patience,
) -> Digests:
    fruitless = 0
    while True:
        before = part.hasher.size
        try:
            await _attempt(name, address, session, part, progress)
        except _CutError as cut:
            fruitless = 1 if part.hasher.size > before else fruitless + 1
            _log.info("download cut", dataset=name, why=str(cut), done=part.hasher.size)
            if fruitless >= patience.attempts:
                raise SourceUnavailableError(
                    f"cannot fetch dataset {name} from {address}: {cut}"
                    f" ({fruitless} attempts in a row)",
                    cure="run again when the server answers, or name another address in"
                    " `dataset_sources` or `mirrors`",
                    retry_after=cut.retry_after,
                ) from cut
            wait = patience.pause * 2 ** min(fruitless - 1, 5)
            await asyncio.sleep(max(wait, min(cut.retry_after or 0.0, 60.0)))
        else:
            part.note.unlink(missing_ok=True)
            return part.hasher.digests()


def _open_part(target: Path) -> _Part:
    """What an earlier attempt left, if the server can be asked to go on from it. Blocks."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = _Part(target, Hasher())
    try:
        note = json.loads(part.note.read_text())
        part.validator, part.total = str(note["validator"]), int(note["total"])
        if part.validator:
            part.hasher.take_file(target, lambda _done: None)
            return part
    except (OSError, ValueError, KeyError, TypeError):
        pass  # nothing usable is there: a fresh start
    part.restart()
    return part


async def _attempt(
    name: str,
    address: HttpAddress,
    session: aiohttp.ClientSession,
    part: _Part,
    progress: Progress,
) -> None:
    headers = {}
    if part.hasher.size and part.validator:
        headers = {
            "Range": f"bytes={part.hasher.size}-",
            "If-Range": part.validator,
        }
    try:
        async with session.get(address.url, headers=headers) as response:
            _refuse_useless(name, address, response)
            if _is_whole(response, part):
                return
            await asyncio.to_thread(_begin, name, part, response)
            with part.path.open("r+b") as stream:
                stream.seek(part.hasher.size)
                await _stream(name, response, part, stream, progress)
    except (ssl.SSLError, aiohttp.ClientSSLError) as error:
        raise DatasetError(
            f"cannot fetch dataset {name} from {address}: {error}", cure=_TLS_CURE
        ) from error
    except aiohttp.InvalidURL as error:
        raise DatasetError(
            f"cannot fetch dataset {name}: {address} is no address", cure="mend it"
        ) from error
    except TimeoutError as error:
        raise _CutError("the server went silent") from error
    except (aiohttp.ClientError, ConnectionError) as error:
        raise _CutError(str(error) or type(error).__name__) from error
    if part.total and part.hasher.size != part.total:
        raise _CutError(
            f"the server announced {part.total} bytes and sent {part.hasher.size}"
        )


def _refuse_useless(
    name: str, address: HttpAddress, response: aiohttp.ClientResponse
) -> None:
    code = response.status
    attempted = f"cannot fetch dataset {name} from {address}: "
    if address.url.startswith("https:") and response.url.scheme != "https":
        raise DatasetError(
            f"{attempted}it leads to {response.url}, which is not encrypted",
            cure=_TLS_CURE,
        )
    if code in _TRY_AGAIN or code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        after = response.headers.get("Retry-After", "")
        seconds = float(after) if after.isdecimal() else None
        raise _CutError(f"the server answered {code} {response.reason}", seconds)
    if code in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
        if response.content_type in {"text/html", "application/xhtml+xml"}:
            raise DatasetError(
                f"{attempted}the server answered with a web page instead of the file",
                cure="name the address of the TSV itself",
            )
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise DatasetError(
                f"{attempted}the server sent it encoded although told not to",
                cure="name a `mirrors` address that serves the plain file",
            )
        return
    if code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        raise DatasetError(
            f"{attempted}the server answered {code} {response.reason}",
            cure="name a working address in `dataset_sources` or `mirrors`, or put the file into"
            f" $LMUData as {name}.tsv",
        )


def _is_whole(response: aiohttp.ClientResponse, part: _Part) -> bool:
    if response.status != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return False
    told = response.headers.get("Content-Range", "").rpartition("/")[2]
    if told == str(part.hasher.size):
        part.total = part.hasher.size
        return True
    part.restart()
    raise _CutError("the file changed on the server")


def _begin(name: str, part: _Part, response: aiohttp.ClientResponse) -> None:
    """Fits the part to what the server is about to send. Blocks."""
    going_on = response.status == HTTPStatus.PARTIAL_CONTENT
    told = response.headers.get("Content-Range", "")
    if going_on and not told.startswith(f"bytes {part.hasher.size}-"):
        part.restart()
        raise _CutError(f"the server sent another range than asked for: {told!r}")
    if not going_on:
        part.restart()
        etag = response.headers.get("ETag", "")
        strong = "" if etag.startswith("W/") else etag
        part.validator = strong or response.headers.get("Last-Modified", "")
        part.total = response.content_length or 0
    part.remember()
    missing = max(part.total - part.hasher.size, 0)
    check_room(name, missing, part.path.parent)


async def _stream(
    name: str,
    response: aiohttp.ClientResponse,
    part: _Part,
    stream: BinaryIO,
    progress: Progress,
) -> None:
    async for data in response.content.iter_chunked(_CHUNK_BYTES):
        try:
            await asyncio.to_thread(_take, part, stream, data)
        except OSError as error:
            raise StoreFullError(
                f"cannot keep dataset {name} in {part.path.parent}: {error.strerror}",
                cure="make room, or set $ASSAY_CACHE to a larger file system",
            ) from error
        progress(part.hasher.size, part.total)


def _take(part: _Part, stream: BinaryIO, data: bytes) -> None:
    # To the file first: what the hasher has seen must be there when an attempt ends.
    stream.write(data)
    stream.flush()
    part.hasher.update(data)
