"""What answers of an endpoint mean, without an endpoint."""

import json

import pytest

from assay.domain.sample import UnscoredReason
from assay.worker.engines.outcome import (
    Answer,
    AttemptFailure,
    EndpointFailure,
    outcome_of,
    retry_after_seconds,
)

ADDRESS = "http://host/v1/chat/completions"


def success(content: object, **fields: object) -> bytes:
    choice = {"message": {"content": content}, **fields}
    return json.dumps({"choices": [choice]}).encode()


def outcome(status: int, body: bytes = b"", **headers: str) -> object:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return outcome_of(ADDRESS, status, named, body)


def test_an_answer_is_stripped_as_upstream_strips_it() -> None:
    assert outcome(200, success(" \n A. cat\t")) == Answer(text="A. cat")


def test_any_success_status_counts() -> None:
    assert outcome(201, success("A")) == Answer(text="A")


def test_counts_that_are_no_counts_are_not_taken() -> None:
    document = json.loads(success("A", finish_reason=3))
    document["usage"] = {"prompt_tokens": "many", "completion_tokens": True}
    assert outcome(200, json.dumps(document).encode()) == Answer(text="A")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html></html>",
        b"[]",
        b"null",
        b'{"choices": []}',
        b'{"choices": [{"text": "A"}]}',
        b'{"choices": [null]}',
        success(["A"]),
        success("half \ud83d"),
        b"[" * 100_000,
        b"\xff\xfe\x00",
    ],
)
def test_a_success_without_a_usable_answer_is_a_bad_response(body: bytes) -> None:
    found = outcome(200, body)
    assert isinstance(found, AttemptFailure)
    assert found.reason is UnscoredReason.BAD_RESPONSE
    assert not found.permanent


def test_a_web_page_in_place_of_an_answer_points_at_the_address_and_a_proxy() -> None:
    found = outcome(200, b"<!DOCTYPE html><title>Sign in</title>")
    assert isinstance(found, AttemptFailure)
    assert "correct `api_base`, or look at a proxy" in found.message
    assert "Sign in" in found.message


def test_an_empty_answer_quotes_the_finish_reason() -> None:
    found = outcome(200, success(None, finish_reason="length"))
    assert isinstance(found, AttemptFailure)
    assert found.reason is UnscoredReason.EMPTY_ANSWER
    assert "length" in found.message


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": {"message": "too many pictures", "code": 1}}',
        b'{"error": "too many pictures"}',
        b'{"message": "too many pictures"}',
        b'{"detail": "too many pictures"}',
        b"too\n  many pictures",
    ],
)
def test_a_rejection_quotes_the_server(body: bytes) -> None:
    found = outcome(400, body)
    assert isinstance(found, AttemptFailure)
    assert found.permanent
    assert found.message == "status 400: too many pictures"


def test_a_servers_words_are_cut_to_500_characters() -> None:
    found = outcome(400, b"x" * 10_000)
    assert isinstance(found, AttemptFailure)
    assert len(found.message) == 500


@pytest.mark.parametrize(
    ("status", "reason", "overloaded"),
    [
        (408, UnscoredReason.TIMEOUT, False),
        (429, UnscoredReason.RATE_LIMITED, True),
        (500, UnscoredReason.SERVER_ERROR, False),
        (503, UnscoredReason.SERVER_ERROR, True),
        (504, UnscoredReason.SERVER_ERROR, False),
    ],
)
def test_transient_statuses_are_tried_again(
    status: int,
    reason: UnscoredReason,
    overloaded: bool,  # noqa: FBT001
) -> None:
    found = outcome(status, Retry_After="7")
    assert isinstance(found, AttemptFailure)
    assert (found.reason, found.overloaded) == (reason, overloaded)
    assert (found.permanent, found.retry_after) == (False, 7.0)


@pytest.mark.parametrize("status", [401, 402, 403, 404, 405, 301, 302, 307, 308])
def test_statuses_about_the_endpoint_name_it_and_the_cure(status: int) -> None:
    found = outcome(status)
    assert isinstance(found, EndpointFailure)
    assert found.connected
    assert ADDRESS in found.message
    assert "`" in found.message


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("0", None, 0.0),
        ("1.5", None, 1.5),
        ("Wed, 21 Oct 2026 07:28:30 GMT", "Wed, 21 Oct 2026 07:28:00 GMT", 30.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:28:30 GMT", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", None, 0.0),
        ("soon", None, None),
        ("-3", None, None),
        ("inf", None, None),
        ("nan", None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_by_the_servers_clock(
    value: str, date: str | None, seconds: float | None
) -> None:
    headers = {"Retry-After": value, **({"Date": date} if date else {})}
    assert retry_after_seconds(headers) == seconds
