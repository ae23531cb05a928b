"""Downloads a raw file over http(s): in ranges over several connections, resumed where it was cut.

What has come stands in the cache until it is whole, so that a later run goes on from it. Bytes of two
versions of a file are never put together: every range is asked for under the condition that the file is
still the one that was begun (If-Range), and the answer is looked at again. A server without ranges, or
one that does not say which version it sends, is read from the start through one connection.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from functools import partial
from http import HTTPStatus
from pathlib import Path

import aiohttp
import structlog

from assay.dataset.sources.limits import Patience, Progress, check_room
from assay.dataset.sources.part import Part, Span
from assay.dataset.sources.replies import (
    TLS_CURE,
    ChangedError,
    CutError,
    is_page,
    refuse_useless,
    sent_range,
    validator_of,
    web_page,
)
from assay.domain.errors import DatasetError, SourceUnavailableError, StoreFullError

_log = structlog.get_logger(__name__)

_CHUNK_BYTES = 1024 * 1024
_HUGGING_FACE = "https://huggingface.co/"


async def download(
    name: str,
    url: str,
    target: Path,
    progress: Progress,
    patience: Patience,
    *,
    shown: str,
    proven: bool,
) -> None:
    """Brings the whole file to `target`, unverified.

    Args:
        name: the dataset's, for messages.
        url: may hold a signature: it is never shown.
        target: where it comes to stand; what an earlier attempt left there is gone on with.
        progress: told of every piece.
        patience: how long it may take.
        shown: the address as messages may name it.
        proven: whether the caller has a digest to hold the file against.

    Raises:
        SourceUnavailableError: the server does not answer, or cuts every attempt.
        DatasetError: it answers that it will not give the file.
        StoreFullError: the file does not fit.
    """
    timeout = aiohttp.ClientTimeout(
        total=None,
        # Also over names that nobody resolves.
        connect=2 * patience.connect,
        sock_connect=patience.connect,
        sock_read=patience.stall,
    )
    try:
        with closing(await asyncio.to_thread(Part, target)) as part:
            async with (
                asyncio.timeout(patience.total),
                aiohttp.ClientSession(
                    timeout=timeout,
                    headers={"Accept-Encoding": "identity", "User-Agent": "assay"},
                    trust_env=True,
                    auto_decompress=False,
                    read_bufsize=_CHUNK_BYTES,
                ) as session,
            ):
                this = _Download(
                    name, url, shown, session, part, progress, patience, proven=proven
                )
                await this.until_whole()
    except TimeoutError as error:
        raise SourceUnavailableError(
            f"cannot fetch dataset {name} from {shown}: not whole after {patience.total:.0f} s",
            cure="run again: it goes on from what has come",
        ) from error
    except OSError as error:
        raise StoreFullError(
            f"cannot keep dataset {name} in {target.parent}: {error.strerror or error}",
            cure="make room, or set $ASSAY_CACHE to a larger file system",
        ) from error


class _Download:
    """One file on its way."""

    def __init__(  # noqa: PLR0917 - one private caller
        self,
        name: str,
        url: str,
        shown: str,
        session: aiohttp.ClientSession,
        part: Part,
        progress: Progress,
        patience: Patience,
        *,
        proven: bool,
    ) -> None:
        self._name = name
        self._attempted = f"cannot fetch dataset {name}"
        self._url = url
        self._shown = shown
        self._session = session
        self._part = part
        self._progress = progress
        self._patience = patience
        self._proven = proven
        self._plain = False
        """Ask for the whole file from its start: ranges did not work."""
        self._changes = 0
        self._connections = 0
        self._queue: deque[Span] = deque()

    async def until_whole(self) -> None:
        """Goes on until every byte is here.

        Raises:
            SourceUnavailableError, DatasetError: as `download`.
            OSError: it cannot be written.
        """
        if self._part.received:
            _log.info(
                "going on with a download", dataset=self._name, done=self._part.received
            )
            self._tell()
        while not self._part.spans or self._part.missing:
            try:
                if not self._part.validator:
                    self._connections = 1
                    await self._insist(self._begin)
                else:
                    await self._together()
            except ChangedError as changed:
                self._changes += 1
                # Who answers with a new version each time is asked for the whole of one.
                self._plain = not changed.ranges or self._changes > 1
                _log.warning(
                    "download starts over", dataset=self._name, why=str(changed)
                )
                if self._changes > self._patience.attempts:
                    raise self._given_up(str(changed), self._changes) from changed
                await asyncio.to_thread(self._part.forget)
        await asyncio.to_thread(self._part.finish)

    async def _together(self) -> None:
        """Brings the spans that are missing, over several connections."""
        self._queue = deque(self._part.missing)
        self._connections = min(self._patience.connections, len(self._queue))
        _log.info("downloading", dataset=self._name, connections=self._connections)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._connections):
                    group.create_task(self._draw())
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from failed

    async def _draw(self) -> None:
        """One connection's work: spans, until none is left or the server wants fewer connections."""
        try:
            while self._queue:
                span = self._queue.popleft()
                try:
                    await self._insist(partial(self._fill, span), span)
                except _FewerError:
                    self._queue.appendleft(span)
                    _log.info("fewer connections", dataset=self._name)
                    return
        finally:
            self._connections -= 1

    async def _insist(
        self, attempt: Callable[[], Awaitable[None]], span: Span | None = None
    ) -> None:
        """Repeats an attempt as long as it brings something now and then.

        Raises:
            SourceUnavailableError: it does not.
            _FewerError: this connection is one too many, and others go on.
        """
        fruitless, most = 0, span.done if span else self._part.received
        while True:
            try:
                await attempt()
            except CutError as cut:
                done = span.done if span else self._part.received
                fruitless = 1 if done > most else fruitless + 1
                most = max(done, most)
                _log.info("download cut", dataset=self._name, why=str(cut), done=done)
                spent = fruitless >= self._patience.attempts
                if self._connections > 1 and (cut.busy or spent):
                    raise _FewerError from cut
                if spent:
                    raise self._given_up(str(cut), fruitless, cut.retry_after) from cut
                await asyncio.sleep(self._pause(fruitless, cut.retry_after))
            else:
                return

    def _pause(self, fruitless: int, retry_after: float | None) -> float:
        wait: float = self._patience.pause * 2 ** min(fruitless - 1, 5)
        return max(wait, min(retry_after or 0.0, self._patience.longest_pause))

    def _given_up(
        self, why: str, attempts: int, retry_after: float | None = None
    ) -> SourceUnavailableError:
        other = "another address in `dataset_sources` or `mirrors`"
        if self._shown.startswith(_HUGGING_FACE):
            # Upstream goes there by itself; here nothing is asked that nobody named.
            other += f", such as mirrors: {{{_HUGGING_FACE}: https://hf-mirror.com/}}"
        return SourceUnavailableError(
            f"cannot fetch dataset {self._name} from {self._shown}: {why}"
            f" ({attempts} attempts in a row)",
            cure="run again when the server answers (it goes on from what has come), or name"
            f" {other}",
            retry_after=retry_after,
        )

    async def _begin(self) -> None:
        """Brings the first span; a file that has no ranges is that span."""
        if self._part.validator:
            await self._fill(self._part.spans[0])
        else:
            await self._first()

    async def _first(self) -> None:
        """The first request: what it is answered decides how the rest is asked for."""
        asked = {} if self._plain else {"Range": f"bytes=0-{self._patience.piece - 1}"}
        async with self._answered(asked) as response:
            if response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise self._empty()
            if response.status == HTTPStatus.OK:
                await self._whole(response)
                return
            sent, validator = (
                sent_range(response.headers),
                validator_of(response.headers),
            )
            if sent is None or sent.first != 0 or not sent.total or not validator:
                raise ChangedError(
                    "the server gives ranges without saying of which version of the file",
                    ranges=False,
                )
            await asyncio.to_thread(
                check_room, self._attempted, sent.total, self._folder
            )
            await asyncio.to_thread(
                self._part.begin,
                validator=validator,
                total=sent.total,
                piece=self._patience.piece,
            )
            await self._stream(response, self._part.spans[0])

    async def _whole(self, response: aiohttp.ClientResponse) -> None:
        """Takes a file that the server gives only from its start."""
        total = response.content_length
        if total == 0:
            raise self._empty()
        chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
        if total is None and not chunked and not self._proven:
            raise DatasetError(
                f"cannot fetch dataset {self._name} from {self._shown}: the server does not say how"
                " long the file is, so a cut could not be told from its end",
                cure="give the file's `md5` or `sha256` beside its address",
            )
        _log.info("no ranges: one connection, from the start", dataset=self._name)
        await asyncio.to_thread(check_room, self._attempted, total or 0, self._folder)
        span = await asyncio.to_thread(self._part.begin_whole, total or 0)
        await self._stream(response, span)
        if span.end is None:
            span.end = span.done
        if not span.done:
            raise self._empty()

    async def _fill(self, span: Span) -> None:
        """Brings what is missing of one span."""
        start, end = span.start + span.done, (span.end or 0) - 1
        asked = {"Range": f"bytes={start}-{end}", "If-Range": self._part.validator}
        async with self._answered(asked) as response:
            same = validator_of(response.headers) in {"", self._part.validator}
            if response.status == HTTPStatus.OK:
                raise ChangedError(
                    "the server gives no ranges any more"
                    if same
                    else "the file changed on the server",
                    ranges=not same,
                )
            sent = sent_range(response.headers)
            if response.status != HTTPStatus.PARTIAL_CONTENT or not same:
                raise ChangedError("the file changed on the server", ranges=True)
            if sent is None or sent.first != start:
                told = response.headers.get("Content-Range", "")
                raise CutError(
                    f"the server sent another range than asked for: {told!r}"
                )
            if sent.total != self._part.total:
                raise ChangedError("the file changed on the server", ranges=True)
            room = self._part.total - self._part.received
            await asyncio.to_thread(check_room, self._attempted, room, self._folder)
            await self._stream(response, span)

    async def _stream(self, response: aiohttp.ClientResponse, span: Span) -> None:
        try:
            async for data in response.content.iter_chunked(_CHUNK_BYTES):
                await self._take(data, span)
                if span.missing == 0:
                    return
        except (aiohttp.ClientError, ConnectionError):
            # What came before the cut stands in the client's buffer, which its own reads deny.
            await self._take(response.content._read_nowait(-1), span)  # noqa: SLF001
            raise
        if span.missing:
            raise CutError(
                f"the server announced {span.done + span.missing} bytes and sent {span.done}"
            )

    async def _take(self, data: bytes, span: Span) -> None:
        if span.start + span.done == 0 and is_page(data):
            raise web_page(self._name, self._shown)
        wanted = data if span.missing is None else data[: span.missing]
        if wanted:
            await asyncio.to_thread(self._part.take, span, wanted)
            self._tell()

    @asynccontextmanager
    async def _answered(
        self, headers: dict[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A useful answer; what its client says goes wrong with it is said in our words."""
        attempted = f"cannot fetch dataset {self._name} from {self._shown}"
        try:
            async with self._session.get(self._url, headers=headers) as response:
                await refuse_useless(self._name, self._shown, response)
                yield response
        except (ssl.SSLError, aiohttp.ClientSSLError) as error:
            raise DatasetError(f"{attempted}: {error}", cure=TLS_CURE) from error
        except aiohttp.TooManyRedirects as error:
            raise DatasetError(
                f"{attempted}: it leads in a circle ({len(error.history)} redirects)",
                cure="name the address of the TSV itself",
            ) from error
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise DatasetError(
                f"{attempted}: it is, or leads to, no http(s) address", cure="mend it"
            ) from error
        except aiohttp.ClientResponseError as error:
            # Its text quotes what the server sent.
            raise CutError("the server's answer is no proper HTTP") from error
        except TimeoutError as error:
            raise CutError("the server went silent") from error
        except aiohttp.ClientPayloadError as error:
            raise CutError("the server cut the connection") from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise CutError(str(error) or type(error).__name__) from error

    def _tell(self) -> None:
        self._progress(self._part.received, self._part.total)

    def _empty(self) -> DatasetError:
        return DatasetError(
            f"cannot fetch dataset {self._name} from {self._shown}: the file there is empty",
            cure="name the address of the TSV itself",
        )

    @property
    def _folder(self) -> Path:
        return self._part.path.parent


class _FewerError(Exception):
    """This connection is one too many; the others go on."""
