"""What an S3 endpoint's refusals mean, in our errors: each names the object, the reason and the cure.

`S3Store` wraps every call in `translated`. An endpoint that does not answer, or not sensibly, may do so
later; one without room, or that refuses this caller, will not before somebody changes something.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import urllib3
from minio.error import MinioException, S3Error

from assay.domain.errors import (
    AssayError,
    NotFoundError,
    PermanentError,
    StoreFullError,
    StoreUnavailableError,
)

_FULL = {
    "XMinioStorageFull": "make room on the disks of the object store, then go on",
    "XMinioAdminBucketQuotaExceeded": "raise the quota of the bucket, then go on",
    "QuotaExceeded": "raise the quota of the bucket, then go on",
}
_NO_SPACE = "no space left on device"
_WRONG_KEYS = "put the access key and the secret key of the object store right"
_DENIED = {
    "BucketAlreadyExists": "name another bucket: somebody else has this one",
    "AccessDenied": "allow this access key s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket",
    "AllAccessDisabled": "enable the account of this access key",
    "AccountProblem": "enable the account of this access key",
    "ExpiredToken": "give it credentials that are still valid",
    "InvalidAccessKeyId": _WRONG_KEYS,
    "InvalidToken": _WRONG_KEYS,
    "SignatureDoesNotMatch": _WRONG_KEYS,
    "AuthorizationHeaderMalformed": "name the region of the bucket",
    "PermanentRedirect": "name the region of the bucket",
    "RequestTimeTooSkewed": "set the clock of this machine, or of the object store",
}


class PastEndError(Exception):
    """A range that begins at or after the object's end; never leaves the store."""


def no_bucket(bucket: str, endpoint: str) -> StoreFullError:
    """What to say of a bucket that is not there."""
    return StoreFullError(
        f"cannot use bucket {bucket} ({endpoint}): there is no such bucket",
        cure="create it, or name another",
    )


@contextmanager
def translated(attempt: str, place: str) -> Iterator[None]:
    """Turns what the client raises into our errors.

    Args:
        attempt: what was tried, as a verb.
        place: the object and the endpoint.

    Raises:
        NotFoundError: there is no such object.
        StoreFullError: no room, no bucket, or this caller may not.
        StoreUnavailableError: no answer, or one that a later attempt may better.
        PermanentError: the endpoint does not know the request.
        PastEndError: the range begins after the end.
    """
    try:
        yield
    except S3Error as error:
        # Made by somebody else between the look and the making: then it is there.
        if error.code == "BucketAlreadyOwnedByYou":
            return
        raise _of_answer(error, f"cannot {attempt} {place}: {error.code}") from error
    except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
        raise _of_silence(error, f"cannot {attempt} {place}") from error


def _of_answer(error: S3Error, text: str) -> Exception:
    code = error.code or ""
    if code in {"NoSuchKey", "NoSuchVersion"}:
        return NotFoundError(text)
    if code == "InvalidRange":
        return PastEndError(text)
    if code == "NoSuchBucket":
        return StoreFullError(text, cure="create the bucket, or name another")
    if _NO_SPACE in (error.message or ""):
        # A disk that fills up in the middle of a write is an internal error to MinIO.
        code = "XMinioStorageFull"
    if cure := _FULL.get(code) or _DENIED.get(code):
        return StoreFullError(text, cure=cure)
    status = error.response.status if error.response is not None else 0
    said = f"{text}: {error.message}"
    if status in {400, 405, 411, 413, 501}:
        return PermanentError(
            said,
            cure="see that the endpoint is an S3 endpoint and takes objects this big",
        )
    return StoreUnavailableError(said)


def _of_silence(error: Exception, text: str) -> AssayError:
    cause = (
        error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) else error
    )
    said = f"{text}: {cause}"
    if isinstance(cause, (urllib3.exceptions.SSLError, ssl.SSLError)):
        return StoreUnavailableError(
            said, cure="name the certificate authority that signed its certificate"
        )
    return StoreUnavailableError(said, cure="see that the object store is up")
