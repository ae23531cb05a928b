"""Downloads a raw file from S3. The client blocks: callers run this in a thread of their own."""

from __future__ import annotations

from pathlib import Path

import urllib3
from minio import Minio
from minio.error import MinioException, S3Error
from pydantic import SecretStr

from assay.dataset.sources.digests import CHUNK_BYTES, Digests, Hasher
from assay.dataset.sources.limits import Progress, check_room
from assay.dataset.sources.resolve import S3Object
from assay.domain.errors import DatasetError, SourceUnavailableError
from assay.process.configs import S3Config

_CONNECT_SECONDS = 15.0
_READ_SECONDS = 30.0
_ATTEMPTS = 5
_PERMANENT = frozenset(
    {
        "NoSuchKey",
        "NoSuchBucket",
        "AccessDenied",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
    }
)


class S3Fetcher:
    """Reads objects of one endpoint."""

    def __init__(self, config: S3Config) -> None:
        self._endpoint = config.endpoint
        pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS),
            retries=urllib3.Retry(total=2, backoff_factor=0.2),
            cert_reqs="CERT_REQUIRED",
        )
        self._client = Minio(
            config.endpoint,
            access_key=_plain(config.access_key),
            secret_key=_plain(config.secret_key),
            secure=config.secure,
            region=config.region,
            http_client=pool,
        )

    def download(
        self,
        name: str,
        source: S3Object,
        target: Path,
        progress: Progress,
    ) -> Digests:
        """Brings the object to `target`; a cut is mended by ranged reads. Blocks.

        Raises:
            SourceUnavailableError: the endpoint does not answer, or cuts every attempt.
            DatasetError: there is no such object, or it may not be read.
            StoreFullError: it does not fit.
        """
        attempted = f"cannot fetch dataset {name} from {source} ({self._endpoint})"
        try:
            size, etag = self._look(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            check_room(name, size, target.parent)
            return self._read(source, target, size, etag, progress)
        except S3Error as error:
            if error.code in _PERMANENT:
                raise DatasetError(
                    f"{attempted}: {error.code}",
                    cure="mend the address or the credentials of the S3 endpoint",
                ) from error
            raise SourceUnavailableError(f"{attempted}: {error.code}") from error
        except (MinioException, urllib3.exceptions.HTTPError) as error:
            raise SourceUnavailableError(f"{attempted}: {error}") from error

    def _look(self, source: S3Object) -> tuple[int, str]:
        found = self._client.stat_object(source.bucket, source.key)
        return int(found.size or 0), str(found.etag or "")

    def _read(
        self,
        source: S3Object,
        target: Path,
        size: int,
        etag: str,
        progress: Progress,
    ) -> Digests:
        hasher = Hasher()
        with target.open("wb") as stream:
            fruitless = 0
            while hasher.size < size:
                before = hasher.size
                response = self._client.get_object(
                    source.bucket,
                    source.key,
                    offset=before,
                    request_headers={"If-Match": etag},
                )
                try:
                    for data in response.stream(CHUNK_BYTES):
                        stream.write(data)
                        hasher.update(data)
                        progress(hasher.size, size)
                except urllib3.exceptions.HTTPError:
                    fruitless = 0 if hasher.size > before else fruitless + 1
                    if fruitless >= _ATTEMPTS:
                        raise
                finally:
                    response.close()
                    response.release_conn()
        return hasher.digests()


def _plain(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
