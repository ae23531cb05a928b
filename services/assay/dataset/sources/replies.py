"""What a server's answer to a download means: refused, asked again, or the bytes of a known file.

`http.py` asks it about every answer before it takes a byte.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import aiohttp

from assay.domain.errors import DatasetError

TRY_AGAIN = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_EARLY,
    }
)
TLS_CURE = "mend the server's certificate, or name a `mirrors` address with a valid one"
_LOGIN = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_CODE = re.compile(rb"<Code>(\w{1,60})</Code>")
_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19})")
_PAGE = re.compile(rb"\s*<(?:!doctype\s+html|html)\b", re.IGNORECASE)
_ERROR_BYTES = 4096


class CutError(Exception):
    """An attempt ended early in a way that another one may mend.

    Attributes:
        busy: the server said that it has enough to do: fewer connections may help.
        retry_after: seconds it asked for; None: it did not.
    """

    def __init__(
        self, why: str, *, busy: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(why)
        self.busy = busy
        self.retry_after = retry_after


class ChangedError(Exception):
    """What has come belongs to another version of the file, or cannot be continued.

    Attributes:
        ranges: whether the server is known to give ranges still.
    """

    def __init__(self, why: str, *, ranges: bool) -> None:
        super().__init__(why)
        self.ranges = ranges


@dataclass(frozen=True, slots=True)
class Sent:
    """The range a 206 answer carries."""

    first: int
    last: int
    total: int


async def refuse_useless(
    name: str, shown: str, response: aiohttp.ClientResponse
) -> None:
    """Lets 200, 206 and 416 pass.

    Raises:
        CutError: the server may do better later.
        DatasetError: it will not give the file.
    """
    code = response.status
    attempted = f"cannot fetch dataset {name} from {shown}: "
    schemes = [each.url.scheme for each in (*response.history, response)]
    if "https" in schemes and "http" in schemes[schemes.index("https") :]:
        raise DatasetError(
            f"{attempted}it leads to an address that is not encrypted", cure=TLS_CURE
        )
    if code in TRY_AGAIN or code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise CutError(
            f"the server answered {code} {response.reason}",
            busy=code in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE},
            retry_after=seconds_of(response.headers.get("Retry-After", "")),
        )
    if code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return
    if code not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
        raise DatasetError(
            f"{attempted}the server answered {code} {response.reason}"
            f"{await _error_code(response)}",
            cure=_refusal_cure(name, code),
        )
    if response.content_type in {"text/html", "application/xhtml+xml"}:
        raise web_page(name, shown)
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise DatasetError(
            f"{attempted}the server sent it encoded although told not to",
            cure="name a `mirrors` address that serves the plain file",
        )


def web_page(name: str, shown: str) -> DatasetError:
    """What is said when a page came in place of the file."""
    return DatasetError(
        f"cannot fetch dataset {name} from {shown}: the server answered with a web page instead of"
        " the file",
        cure="name the address of the TSV itself",
    )


def is_page(beginning: bytes) -> bool:
    """Whether a file begins as a web page does, whatever its type was said to be."""
    return _PAGE.match(beginning) is not None


def validator_of(headers: Mapping[str, str]) -> str:
    """What may stand in If-Range for this version of the file; empty: nothing may."""
    etag = headers.get("ETag", "")
    return etag if etag.startswith('"') else headers.get("Last-Modified", "")


def sent_range(headers: Mapping[str, str]) -> Sent | None:
    """The range of a 206 answer; None: it does not say, or not of how many bytes."""
    found = _RANGE.fullmatch(headers.get("Content-Range", "").strip())
    return Sent(*map(int, found.groups())) if found else None


def seconds_of(retry_after: str) -> float | None:
    """A Retry-After header, in seconds from now; None: there is none that can be read."""
    if retry_after.isdecimal():
        return float(retry_after[:9])
    try:
        then = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return max((then - datetime.now(UTC)).total_seconds(), 0.0)


async def _error_code(response: aiohttp.ClientResponse) -> str:
    """S3's own word for what is wrong, where there is one."""
    try:
        found = _CODE.search(await response.content.read(_ERROR_BYTES))
    except (aiohttp.ClientError, TimeoutError):
        return ""
    return f" ({found[1].decode()})" if found else ""


def _refusal_cure(name: str, code: int) -> str:
    place = f"put the file into $LMUData as {name}.tsv"
    if code in _LOGIN:
        return (
            "give the credentials that its server wants (of S3: AWS_ACCESS_KEY_ID,"
            f" AWS_SECRET_ACCESS_KEY), or {place}"
        )
    return f"name a working address in `dataset_sources` or `mirrors`, or {place}"
