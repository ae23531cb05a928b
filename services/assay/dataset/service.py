"""Makes datasets ready: finds what is prepared already, else fetches, verifies and prepares it once.

The servicer calls it. Callers in this process that want the same thing share one preparation; other
processes over the same cache are kept apart by a file lock per dataset.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

import structlog

from assay.dataset.metrics import PrepareMetrics
from assay.dataset.preparing import Order, Preparer, together
from assay.dataset.sources.digests import Digests
from assay.dataset.sources.fetch import SourceFetcher
from assay.dataset.sources.resolve import Location, locate, request_digest
from assay.domain import catalog
from assay.domain.errors import (
    DatasetError,
    NotFoundError,
    StoreFullError,
    UnavailableError,
)
from assay.domain.identity import canonical_digest
from assay.domain.prepared import (
    PREPARE_VERSION,
    PreparedRef,
    PrepareStage,
    StageProgress,
    prepared_digest,
)
from assay.domain.run import PicturePolicy, SourceOverride
from assay.store import prepared
from assay.store.objects import ObjectStore

_log = structlog.get_logger(__name__)

LOCK_SECONDS = 0.1
"""How often a lock that another process holds is tried: the kernel has no event to wait for."""


def prepare_versions() -> dict[str, str]:
    """Everything that can change a prompt, a picture or the table; nothing of it is imported."""
    packages = ("ms-vlmeval", "pillow", "pandas", "numpy")
    return {name: version(name) for name in packages} | {"prepare": PREPARE_VERSION}


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareRequest:
    """What a caller wants to be ready.

    Attributes:
        member_sources: the sources of a collection's members, by their names, where the user gave any.
    """

    name: str
    source: SourceOverride | None
    pictures: PicturePolicy
    mirrors: Mapping[str, str]
    member_sources: Mapping[str, SourceOverride] = field(default_factory=dict)

    @property
    def wanted(self) -> Mapping[str, SourceOverride | None]:
        """The datasets whose files are needed, with the sources the user gave."""
        entry = catalog.lookup(self.name)
        if entry is None or not entry.members:
            return {self.name: self.source}
        return {name: self.member_sources.get(name) for name in entry.members}


class DatasetService:
    """One cache's datasets."""

    def __init__(
        self,
        store: ObjectStore,
        fetcher: SourceFetcher,
        preparer: Preparer,
        *,
        locks: Path,
        lmu_data: Sequence[Path],
        metrics: PrepareMetrics | None = None,
    ) -> None:
        self._store = store
        self._fetcher = fetcher
        self._preparer = preparer
        self._locks = locks
        self._lmu_data = lmu_data
        self._versions = prepare_versions()
        self._metrics = metrics or PrepareMetrics()
        self._running: dict[str, _Work] = {}

    async def prepare(
        self, request: PrepareRequest
    ) -> AsyncIterator[StageProgress | PreparedRef]:
        """How far it is, as it changes, and the prepared dataset last.

        Raises:
            DatasetError: the dataset cannot be had or used.
            SourceUnavailableError: its source does not answer.
            StoreFullError: no space.
            SealError: the child that prepares could not be sealed, or broke its limits.
        """
        locations = await asyncio.to_thread(self._locate, request)
        where = [request_digest(location) for location in locations.values()]
        key = canonical_digest([request.name, where, asdict(request.pictures)])
        work = self._running.get(key)
        if work is None:
            work = self._running[key] = _Work()
            work.task = asyncio.create_task(
                self._make_ready(request, locations, work.tell), name=f"prepare {key}"
            )
            self._metrics.began()
            work.task.add_done_callback(lambda task: self._ended(key, work, task))
        async for step in work.follow():
            yield step

    def _locate(self, request: PrepareRequest) -> dict[str, Location]:
        if request.source is not None and request.name not in request.wanted:
            raise DatasetError(
                f"{request.name} has no file of its own: VLMEvalKit puts it together from"
                f" {', '.join(request.wanted)}",
                cure="give those their sources",
            )
        return {
            name: locate(name, source, request.mirrors, self._lmu_data)
            for name, source in request.wanted.items()
        }

    def _ended(self, key: str, work: _Work, task: asyncio.Task[PreparedRef]) -> None:
        self._running.pop(key, None)
        self._metrics.ended(task, time.monotonic() - work.began)
        work.end()

    async def get(self, name: str, digest: str) -> PreparedRef:
        """One prepared dataset.

        Raises:
            NotFoundError: it is not prepared here.
        """
        found = await asyncio.to_thread(
            prepared.read_manifest, self._store, name, digest
        )
        if found is None:
            raise NotFoundError(f"dataset {name} ({digest[:12]}) is not prepared here")
        return found.ref

    async def list(self) -> list[PreparedRef]:
        """All prepared datasets, in name order."""
        found = await asyncio.to_thread(prepared.prepared_here, self._store)
        return [manifest.ref for manifest in found]

    async def delete(self, name: str, digest: str) -> None:
        """Deletes a prepared dataset; its raw source stays.

        Raises:
            NotFoundError: it is not prepared here.
        """
        await asyncio.to_thread(prepared.delete, self._store, name, digest)

    async def stop(self) -> None:
        """Ends what is being prepared; what has come of downloads stays for the next run."""
        tasks = [work.task for work in self._running.values() if work.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _make_ready(
        self,
        request: PrepareRequest,
        locations: Mapping[str, Location],
        tell: Callable[[StageProgress], None],
    ) -> PreparedRef:
        name = request.name
        known = await self._known(locations)
        if known is not None:
            found = await self._find(request, known)
            if found is not None:
                return found
        async with AsyncExitStack() as locks:
            await locks.enter_async_context(self._lock(name, tell))
            sources = {}
            for part, location in locations.items():
                if part != name:
                    # A member may be fetched or taken away alone: not before this is done with it.
                    await locks.enter_async_context(self._lock(part, tell))
                sources[part] = await self._fetcher.fetch(part, location, tell)
            source = together({part: each.digests for part, each in sources.items()})
            found = await self._find(request, source)
            if found is not None:
                return found
            order = Order(
                name=name,
                digest=self._digest(request, source),
                sources=sources,
                source=source,
                pictures=request.pictures,
                versions=self._versions,
            )
            try:
                folder, manifest = await self._preparer.prepare(order, tell)
                await asyncio.to_thread(prepared.publish, self._store, folder, manifest)
            finally:
                await asyncio.to_thread(self._preparer.clean, name)
        _log.info("dataset prepared", dataset=name, digest=manifest.digest)
        return manifest.ref

    async def _known(self, locations: Mapping[str, Location]) -> Digests | None:
        """What the locations are known to hold, if that is known of all of them."""
        found = {}
        for name, location in locations.items():
            digests = await self._fetcher.known(name, location)
            if digests is None:
                return None
            found[name] = digests
        return together(found)

    async def _find(
        self, request: PrepareRequest, source: Digests
    ) -> PreparedRef | None:
        manifest = await asyncio.to_thread(
            prepared.read_manifest,
            self._store,
            request.name,
            self._digest(request, source),
        )
        return manifest.ref if manifest else None

    def _digest(self, request: PrepareRequest, source: Digests) -> str:
        return prepared_digest(
            request.name, source.sha256, request.pictures, self._versions
        )

    @asynccontextmanager
    async def _lock(
        self, name: str, tell: Callable[[StageProgress], None]
    ) -> AsyncIterator[None]:
        """Keeps other preparations of the dataset out, of this process and of others."""
        try:
            self._locks.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(
                self._locks / f"{name}.lock",
                os.O_RDWR | os.O_CREAT | os.O_CLOEXEC,
                0o644,
            )
        except OSError as error:
            raise StoreFullError(
                f"cannot prepare dataset {name}: no lock file in {self._locks}: {error.strerror}",
                cure="make the cache writable, or set $ASSAY_CACHE to another folder",
            ) from error
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    tell(StageProgress(PrepareStage.WAITING))
                    await asyncio.sleep(LOCK_SECONDS)
            yield
        finally:
            os.close(descriptor)


class _Work:
    """One preparation and those who follow it."""

    def __init__(self) -> None:
        self.task: asyncio.Task[PreparedRef] | None = None
        self.began = time.monotonic()
        self._latest: StageProgress | None = None
        self._version = 0
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def tell(self, progress: StageProgress) -> None:
        """Takes the newest progress; from any thread."""
        self._loop.call_soon_threadsafe(self._take, progress)

    def end(self) -> None:
        """Wakes those who follow: the task is done."""
        self._changed.set()

    def _take(self, progress: StageProgress) -> None:
        if progress != self._latest:
            self._latest = progress
            self._version += 1
            self._changed.set()
            self._changed = asyncio.Event()

    async def follow(self) -> AsyncIterator[StageProgress | PreparedRef]:
        """Progress as it changes, then the result; a slow follower misses steps, never the end."""
        assert self.task is not None
        seen = 0
        while not self.task.done():
            if self._latest is not None and seen != self._version:
                seen = self._version
                yield self._latest
                continue
            await self._changed.wait()
        if self.task.cancelled():
            raise UnavailableError("the dataset service is going away")
        error = self.task.exception()
        if error is not None:
            raise error
        yield self.task.result()
