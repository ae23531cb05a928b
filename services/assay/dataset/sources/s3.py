"""Where an object of an S3 endpoint can be read over HTTP: `http.py` then downloads it as any file."""

from __future__ import annotations

from datetime import timedelta

import urllib3
from minio import Minio
from minio.error import MinioException, S3Error
from pydantic import SecretStr

from assay.dataset.sources.resolve import S3Object
from assay.domain.errors import DatasetError, SourceUnavailableError
from assay.process.configs import S3Config

_CONNECT_SECONDS = 15.0
_READ_SECONDS = 30.0
_VALID = timedelta(days=1)
"""How long an address can be read: longer than a download may take."""


class S3Addresses:
    """Signs addresses of one endpoint's objects; they hold no secret, but whoever has one can read."""

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

    def of(self, name: str, source: S3Object) -> str:
        """The address of one object. Blocks: of an unnamed region the endpoint is asked.

        Raises:
            SourceUnavailableError: the endpoint does not answer.
            DatasetError: it will not, or what is named cannot be an object.
        """
        attempted = f"cannot fetch dataset {name} from {source} ({self._endpoint})"
        try:
            return self._client.presigned_get_object(
                source.bucket, source.key, expires=_VALID
            )
        except (S3Error, ValueError) as error:
            why = error.code if isinstance(error, S3Error) else error
            raise DatasetError(
                f"{attempted}: {why}",
                cure="mend the address or the credentials of the S3 endpoint",
            ) from error
        except (MinioException, urllib3.exceptions.HTTPError) as error:
            raise SourceUnavailableError(f"{attempted}: {error}") from error


def _plain(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
