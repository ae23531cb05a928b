"""Objects in a bucket: what runs share when they run on many machines.

Services of a cluster open one, over MinIO or any other S3 endpoint. Everything stands below a prefix of
its own, `<namespace>/<release>/`, so that releases can share a bucket; `owner.json` there says whose it
is, and `claim` refuses one of somebody else's. Nothing here relies on conditional writes or on listings
being complete; S3 makes one PUT atomic and durable, and one that may or may not have arrived is repeated
with the same key and the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import msgspec
import urllib3
from minio import Minio

from assay.domain.errors import ConflictError, CorruptError, NotFoundError
from assay.process.contract import S3StoreConfig
from assay.store.keys import parts_of
from assay.store.s3_credentials import FolderCredentials
from assay.store.s3_errors import PastEndError, no_bucket, translated

OWNER = "owner.json"
_CONNECTIONS = 32
_REPEATS = 2
_REPEATED = frozenset({500, 502, 503, 504})
# A part is sent whole within the connect time-out (that is how sockets count), so parts are small.
_PART_BYTES = 8 * 1024 * 1024
_SENDERS = 3


class _Owner(msgspec.Struct, frozen=True):
    owner: str


class S3Store:
    """An ObjectStore over one prefix of a bucket; safe to use from several threads."""

    def __init__(self, config: S3StoreConfig) -> None:
        self._config = config
        self._bucket = config.bucket
        self._prefix = f"{config.prefix.strip('/')}/"
        self._expiry = timedelta(seconds=config.url_seconds)
        self._client = Minio(
            config.endpoint,
            access_key=config.access_key.get_secret_value() or None,
            secret_key=config.secret_key.get_secret_value() or None,
            credentials=FolderCredentials(config.credentials)
            if config.credentials
            else None,
            secure=config.secure,
            region=config.region,
            http_client=_pool(config),
        )

    def claim(self) -> None:
        """Makes the prefix ours, or sees that it is; every service does so before anything else.

        Two claims at the same moment can both come back; the later one has it, and the other is refused
        at its next start.

        Raises:
            ConflictError: it belongs to somebody else.
            CorruptError: its `owner.json` is not one of ours.
            StoreUnavailableError, StoreFullError: as always.
        """
        if self._config.create_bucket:
            self._make_bucket()
        ours = _Owner(self._config.owner)
        found = self._owner()
        if found is None:
            self._put(OWNER, msgspec.json.encode(ours))
            found = self._owner()
        if found != ours:
            raise ConflictError(
                f"cannot use {self._place(OWNER)}: it belongs to {found.owner if found else 'nobody'},"
                f" and this is {ours.owner}",
                cure="choose another prefix or bucket; if its owner is gone for good, delete that object",
            )

    def put(self, key: str, data: bytes) -> None:
        """Writes an object, whole and durable, over whatever was there."""
        parts_of(key)
        self._put(key, data)

    def put_file(self, key: str, path: Path) -> None:
        """Writes an object from a file of the caller's, which stays."""
        parts_of(key)
        with translated("write", self._place(key)), path.open("rb") as stream:
            self._send(key, stream, path.stat().st_size)

    def get(self, key: str) -> bytes:
        """Reads a whole object.

        Raises:
            NotFoundError: there is none.
        """
        parts_of(key)
        return self._get(key)

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """Reads `length` bytes from `offset`; fewer where the object ends.

        Raises:
            NotFoundError: there is none.
        """
        parts_of(key)
        if length == 0:
            return b""
        try:
            return self._get(key, offset, length)
        except PastEndError:
            return b""

    def size(self, key: str) -> int | None:
        """Bytes of an object; None: there is none."""
        parts_of(key)
        try:
            with translated("look at", self._place(key)):
                found = self._client.stat_object(self._bucket, self._prefix + key)
        except NotFoundError:
            self._see_bucket()
            return None
        return int(found.size or 0)

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that start with `prefix`, in order."""
        parts_of(prefix.rpartition("/")[0], least=1)
        with translated("list", self._place(prefix)):
            found = self._client.list_objects(
                self._bucket, prefix=self._prefix + prefix, recursive=True
            )
            for each in found:
                yield str(each.object_name).removeprefix(self._prefix)

    def folders(self, prefix: str, after: str = "") -> Iterator[str]:
        """Names directly below `prefix` that have something below them, in key order."""
        parts_of(prefix.rpartition("/")[0], least=1)
        whole = self._prefix + prefix
        with translated("list", self._place(prefix)):
            # "0" comes right behind "/": everything below the name is left out, nothing else is.
            found = self._client.list_objects(
                self._bucket,
                prefix=whole,
                start_after=f"{whole}{after}0" if after else None,
            )
            for each in found:
                if each.is_dir:
                    yield str(each.object_name).removeprefix(whole).rstrip("/")

    def delete(self, key: str) -> None:
        """Removes an object; none there is no error."""
        parts_of(key)
        with translated("delete", self._place(key)):
            self._client.remove_object(self._bucket, self._prefix + key)

    def url(self, key: str) -> str:
        """An address that reads the object for a while, ranges of it too, without credentials."""
        parts_of(key)
        with translated("sign an address of", self._place(key)):
            return str(
                self._client.presigned_get_object(
                    self._bucket, self._prefix + key, expires=self._expiry
                )
            )

    def _make_bucket(self) -> None:
        with translated("make", f"bucket {self._bucket} ({self._config.endpoint})"):
            if not self._client.bucket_exists(self._bucket):
                self._client.make_bucket(self._bucket, location=self._config.region)

    def _owner(self) -> _Owner | None:
        try:
            return msgspec.json.decode(self._get(OWNER), type=_Owner)
        except NotFoundError:
            return None
        except msgspec.MsgspecError as error:
            raise CorruptError(
                f"cannot read {self._place(OWNER)}: {error}",
                cure="choose another prefix or bucket: this one is used by something else",
            ) from error

    def _put(self, key: str, data: bytes) -> None:
        with translated("write", self._place(key)):
            self._send(key, io.BytesIO(data), len(data))

    def _send(self, key: str, stream: BinaryIO, length: int) -> None:
        self._client.put_object(
            self._bucket,
            self._prefix + key,
            stream,
            length,
            part_size=_PART_BYTES,
            num_parallel_uploads=_SENDERS,
        )

    def _get(self, key: str, offset: int = 0, length: int = 0) -> bytes:
        with translated("read", self._place(key)):
            response = self._client.get_object(
                self._bucket, self._prefix + key, offset=offset, length=length
            )
            try:
                return bytes(response.read())
            finally:
                response.close()
                response.release_conn()

    def _see_bucket(self) -> None:
        """Tells an absent object from an absent bucket: an answer without a body looks the same for both."""
        with translated("look at", f"bucket {self._bucket} ({self._config.endpoint})"):
            if not self._client.bucket_exists(self._bucket):
                raise no_bucket(self._bucket, self._config.endpoint)

    def _place(self, key: str) -> str:
        return f"s3://{self._bucket}/{self._prefix}{key} ({self._config.endpoint})"


def _pool(config: S3StoreConfig) -> urllib3.PoolManager:
    return urllib3.PoolManager(
        maxsize=_CONNECTIONS,
        timeout=urllib3.Timeout(
            connect=config.connect_seconds, read=config.read_seconds
        ),
        # Of the calls that change something only those that may be repeated are: PUT and DELETE.
        retries=urllib3.Retry(
            total=_REPEATS,
            backoff_factor=0.2,
            backoff_jitter=0.2,
            status_forcelist=_REPEATED,
            raise_on_status=False,
            # It may ask for a minute, and a thread waits here; callers come again by themselves.
            respect_retry_after_header=False,
        ),
        cert_reqs="CERT_REQUIRED",
        ca_certs=str(config.ca_file) if config.ca_file else None,
    )
