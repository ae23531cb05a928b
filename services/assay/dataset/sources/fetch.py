"""Finds a dataset's raw file and proves what it is: the one thing the service asks of this room.

What a request led to is recorded in the store, so that a later run starts without reading or
downloading anything; a recorded blob is verified again before it is used.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from assay.dataset.sources import local
from assay.dataset.sources.digests import Digests, check, hash_file
from assay.dataset.sources.limits import Patience
from assay.dataset.sources.resolve import (
    HttpAddress,
    LocalFile,
    Location,
    S3Object,
    request_digest,
    request_of,
)
from assay.domain.errors import CorruptError, DatasetError, NotFoundError
from assay.domain.prepared import PrepareStage, StageProgress
from assay.store import keys
from assay.store.objects import ObjectStore

Tell = Callable[[StageProgress], None]

S3Address = Callable[[str, S3Object], str]
"""`S3Addresses.of` a configured endpoint; blocks."""

_COPY_BYTES = 8 * 1024 * 1024

_WRONG_DOWNLOAD = (
    "the address serves another file: name a right one in `dataset_sources` or `mirrors`, or the"
    " file's own md5 beside its address"
)


@dataclass(frozen=True, slots=True)
class RawSource:
    """A raw file that is what it should be; `path` is where to read it."""

    digests: Digests
    path: Path


class SourceFetcher:
    """Brings raw files; one at a time per dataset: its caller holds the dataset's lock."""

    def __init__(
        self,
        store: ObjectStore,
        *,
        partial: Path,
        s3: S3Address | None,
        patience: Patience | None = None,
    ) -> None:
        self._store = store
        self._partial = partial
        self._s3 = s3
        self._patience = patience or Patience()

    async def known(self, name: str, location: Location) -> Digests | None:
        """What the location is known to hold, if nothing has changed since; reads no raw file.

        Raises:
            DatasetError: a local file is gone or unreadable.
            StoreUnavailableError: the store did not answer.
        """
        return await asyncio.to_thread(self._recorded, name, location)

    async def fetch(self, name: str, location: Location, tell: Tell) -> RawSource:
        """The raw file, verified; downloaded unless it is here.

        Raises:
            DatasetError: it cannot be had, or (DigestMismatchError) is another file.
            SourceUnavailableError: the source does not answer.
            StoreFullError: no space.
        """
        if isinstance(location, LocalFile):
            return await asyncio.to_thread(self._local, name, location, tell)
        recorded = await self.known(name, location)
        if recorded is not None:
            found = await asyncio.to_thread(self._blob, recorded, tell)
            if found is not None:
                return found
        place = hashlib.sha256(str(location).encode()).hexdigest()
        target = self._partial / name / place
        await self._download(name, location, target, tell)
        return await asyncio.to_thread(self._keep, name, location, target, tell)

    async def _download(
        self, name: str, location: HttpAddress | S3Object, target: Path, tell: Tell
    ) -> None:
        def progress(done: int, total: int) -> None:
            tell(StageProgress(PrepareStage.FETCHING, done, total))

        progress(0, 0)
        # A prepared dataset is found without it, and it takes 0.2 s to import.
        from assay.dataset.sources import http  # noqa: PLC0415

        url = (
            location.url
            if isinstance(location, HttpAddress)
            else await asyncio.to_thread(self._signed, name, location)
        )
        expected = location.expected
        await http.download(
            name,
            url,
            target,
            progress,
            self._patience,
            shown=str(location),
            proven=bool(expected.md5 or expected.sha256),
        )

    def _signed(self, name: str, location: S3Object) -> str:
        if self._s3 is None:
            raise DatasetError(
                f"cannot fetch dataset {name} from {location}: no S3 endpoint is configured",
                cure="set AWS_ENDPOINT_URL (and the credentials), or use `url` or `path`",
            )
        return self._s3(name, location)

    def _local(self, name: str, location: LocalFile, tell: Tell) -> RawSource:
        before = local.fingerprint(name, location.path)
        recorded = self._recorded(name, location)
        if recorded is not None:
            return RawSource(recorded, location.path)

        def progress(done: int) -> None:
            tell(StageProgress(PrepareStage.VERIFYING, done, before.size))

        digests = local.read_through(name, location, progress)
        if local.fingerprint(name, location.path) != before:
            raise DatasetError(
                f"dataset {name}: {location.path} changed while it was read",
                cure="wait until it is written, then run again",
            )
        self._record(name, location, digests)
        return RawSource(digests, location.path)

    def _keep(
        self, name: str, location: Location, target: Path, tell: Tell
    ) -> RawSource:
        size = target.stat().st_size

        def progress(done: int) -> None:
            tell(StageProgress(PrepareStage.VERIFYING, done, size))

        digests = hash_file(target, progress)
        try:
            check(name, str(location), digests, location.expected, _WRONG_DOWNLOAD)
        except DatasetError:
            target.unlink()
            raise
        self._store.put_file(keys.blob(digests.sha256), target)
        self._record(name, location, digests)
        if target.exists():  # a bucket has a copy, and the file has served
            return RawSource(digests, target)
        return RawSource(digests, self._path_of(digests))

    def _blob(self, recorded: Digests, tell: Tell) -> RawSource | None:
        """The kept download; None: it is gone or damaged, and is taken away."""
        key = keys.blob(recorded.sha256)
        if self._store.size(key) is None:
            return None
        path = self._path_of(recorded)

        def progress(done: int) -> None:
            tell(StageProgress(PrepareStage.VERIFYING, done, recorded.size))

        if hash_file(path, progress) == recorded:
            return RawSource(recorded, path)
        self._store.delete(key)
        return None

    def _path_of(self, digests: Digests) -> Path:
        """Where the blob can be read: in the store's folder, or in a copy of it from a bucket."""
        key = keys.blob(digests.sha256)
        url = urlsplit(self._store.url(key))
        if url.scheme == "file":
            return Path(unquote(url.path))
        copy = self._partial / "copies" / digests.sha256
        copy.parent.mkdir(parents=True, exist_ok=True)
        with copy.open("wb") as stream:
            for offset in range(0, digests.size, _COPY_BYTES):
                stream.write(self._store.get_range(key, offset, _COPY_BYTES))
        return copy

    def _recorded(self, name: str, location: Location) -> Digests | None:
        try:
            data = self._store.get(keys.source(name, request_digest(location)))
        except NotFoundError:
            return None
        try:
            record = json.loads(data)
            digests = Digests(**record["digests"])
        except (ValueError, KeyError, TypeError) as error:
            raise CorruptError(
                f"cannot read what was recorded about the source of {name}: {error}",
                cure=f"delete {keys.source(name, request_digest(location))} in the cache",
            ) from error
        if isinstance(location, LocalFile):
            now = asdict(local.fingerprint(name, location.path))
            return digests if record.get("fingerprint") == now else None
        return digests

    def _record(self, name: str, location: Location, digests: Digests) -> None:
        record: dict[str, object] = {
            "source": str(location),
            "request": request_of(location),
            "digests": asdict(digests),
        }
        if isinstance(location, LocalFile):
            record["fingerprint"] = asdict(local.fingerprint(name, location.path))
        key = keys.source(name, request_digest(location))
        self._store.put(key, json.dumps(record, indent=1).encode() + b"\n")
