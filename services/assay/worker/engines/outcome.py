"""What one attempt came to, read from status, headers and body; pure, called by the engines.

Three kinds, because three different things follow from them: an answer is committed; a failure of the
attempt counts against its sample (for good, or until its attempts are spent); a failure of the endpoint
counts against nobody, and its sample stays pending.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from assay.domain.sample import UnscoredReason

FAIL_TEXT = "Failed to obtain answer via API."
"""Upstream's failure text: an answer that holds it is none, there and here."""

MESSAGE_LENGTH = 500
"""Characters of a server's own words that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A usable answer; `text` is stripped as upstream strips it."""

    text: str
    finish_reason: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFailure:
    """No answer this time.

    Attributes:
        permanent: asking the same again cannot help.
        retry_after: seconds the server asked us to wait; None: it did not say.
        overloaded: the server has more requests than it can take.
        kind: equal for failures that look the same from outside.
    """

    reason: UnscoredReason
    message: str
    kind: str
    permanent: bool = False
    retry_after: float | None = None
    overloaded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointFailure:
    """The endpoint as a whole is unusable.

    Attributes:
        reason: a word (`connection_refused`, `unauthorized`, ...).
        message: one sentence with the address and the cure.
        connected: whether it answered at all, so that only a request can tell when it is well again.
    """

    reason: str
    message: str
    connected: bool


Outcome = Answer | AttemptFailure | EndpointFailure

_WHOLE_ENDPOINT = {
    401: ("unauthorized", "correct the model's `key`"),
    402: ("payment_required", "see to the account behind the model's `key`"),
    403: ("forbidden", "use a `key` that may use this model"),
    404: ("not_found", "correct `api_base` or the model's `type`"),
    405: ("not_found", "make `api_base` the full chat-completions address"),
}


def outcome_of(
    address: str, status: int, headers: Mapping[str, str], body: bytes
) -> Outcome:
    """What an HTTP answer means."""
    text = body.decode("utf-8", errors="replace")
    if 200 <= status < 300:  # noqa: PLR2004 - HTTP's own ranges
        return _of_success(text)
    said = server_words(text)
    if status in _WHOLE_ENDPOINT:
        reason, cure = _WHOLE_ENDPOINT[status]
        message = f"the endpoint {address} answered {status}: {said}; {cure}"
        return EndpointFailure(reason=reason, message=message, connected=True)
    if 300 <= status < 400:  # noqa: PLR2004
        where = headers.get("Location", "elsewhere")
        message = (
            f"the endpoint {address} redirects to {_cut(where, 200)} (status {status}), which is not "
            "followed; write the final address into `api_base`"
        )
        return EndpointFailure(reason="redirected", message=message, connected=True)
    return _of_error(status, headers, said)


def _of_error(status: int, headers: Mapping[str, str], said: str) -> AttemptFailure:
    wait = retry_after_seconds(headers)
    message = _cut(f"status {status}: {said}", MESSAGE_LENGTH)
    kind = f"status {status}"
    if status == 429:  # noqa: PLR2004
        reason = UnscoredReason.RATE_LIMITED
    elif status == 408:  # noqa: PLR2004
        reason = UnscoredReason.TIMEOUT
    elif status >= 500:  # noqa: PLR2004
        reason = UnscoredReason.SERVER_ERROR
    else:
        return AttemptFailure(
            reason=UnscoredReason.REQUEST_REJECTED,
            message=message,
            kind=kind,
            permanent=True,
        )
    return AttemptFailure(
        reason=reason,
        message=message,
        kind=kind,
        retry_after=wait,
        overloaded=status in {429, 503},
    )


def _of_success(text: str) -> Answer | AttemptFailure:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return bad_response(f"{_not_json(text)}: {_cut(text, 200)}")
    try:
        choice = document["choices"][0]
        content = choice["message"]["content"]
    except (KeyError, IndexError, TypeError):
        return bad_response(f"no choices: {server_words(text)}")
    finish = choice.get("finish_reason")
    if content is None or (isinstance(content, str) and not content.strip()):
        return AttemptFailure(
            reason=UnscoredReason.EMPTY_ANSWER,
            message=f"the answer is empty (finish reason: {finish})",
            kind="empty answer",
        )
    if why := _unusable(content):
        return bad_response(why)
    usage = document.get("usage")
    return Answer(
        text=content.strip(),
        finish_reason=finish if isinstance(finish, str) else "",
        prompt_tokens=_count(usage, "prompt_tokens"),
        completion_tokens=_count(usage, "completion_tokens"),
    )


def _not_json(text: str) -> str:
    if text.lstrip().startswith("<"):
        return "a web page, not JSON; correct `api_base`, or look at a proxy on the way"
    return "not JSON"


def _unusable(content: object) -> str | None:
    """Why a content that is there is no answer; None: it is one."""
    if not isinstance(content, str):
        return f"content is {type(content).__name__}, not text"
    if FAIL_TEXT in content:
        return "the answer holds VLMEvalKit's own failure text"
    if not _encodable(content):
        return "the answer holds half of a surrogate pair"
    return None


def bad_response(why: str) -> AttemptFailure:
    """A success without a usable document in it."""
    return AttemptFailure(
        reason=UnscoredReason.BAD_RESPONSE,
        message=_cut(why, MESSAGE_LENGTH),
        kind="bad response",
    )


def server_words(text: str) -> str:
    """What a server says in an error body, as short as it can be had."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return _cut(" ".join(text.split()), MESSAGE_LENGTH)
    found: Any = document
    for name in ("error", "message", "detail"):
        if isinstance(found, dict) and name in found:
            found = found[name]
    words = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
    return _cut(words, MESSAGE_LENGTH)


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """The wait a `Retry-After` header asks for, as seconds; a date is read against the server's clock."""
    value = headers.get("Retry-After")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = _seconds_until(value, headers.get("Date"))
    return seconds if 0 <= seconds < float("inf") else None


def _seconds_until(then: str, now: str | None) -> float:
    try:
        wanted = _as_utc(parsedate_to_datetime(then))
        present = _as_utc(parsedate_to_datetime(now)) if now else datetime.now(UTC)
    except ValueError:
        return -1.0
    return max(0.0, (wanted - present).total_seconds())


def _as_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _count(usage: object, name: str) -> int:
    value = usage.get(name) if isinstance(usage, dict) else None
    if not isinstance(value, int) or isinstance(value, bool):
        return 0
    return value if 0 <= value < 2**63 else 0


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
