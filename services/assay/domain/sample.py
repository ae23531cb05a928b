"""A sample is one row of a dataset; within a task it has a state, and a reason where it has no verdict."""

from __future__ import annotations

from enum import StrEnum


class SampleState(StrEnum):
    """PENDING -> LEASED -> PREDICTED | UNSCORED, then PREDICTED -> SCORED | UNSCORED."""

    PENDING = "PENDING"
    LEASED = "LEASED"
    PREDICTED = "PREDICTED"
    SCORED = "SCORED"
    UNSCORED = "UNSCORED"


class UnscoredReason(StrEnum):
    """Why a sample has no verdict. Always counted, never 0, never correct."""

    REQUEST_REJECTED = "request_rejected"
    SERVER_ERROR = "server_error"
    RATE_LIMITED = "rate_limited"
    TIMEOUT = "timeout"
    EMPTY_ANSWER = "empty_answer"
    BAD_RESPONSE = "bad_response"
    PICTURE_INVALID = "picture_invalid"
    POISON = "poison"
    JUDGE_FAILED = "judge_failed"
    JUDGE_UNPARSEABLE = "judge_unparseable"
    GROUP_INCOMPLETE = "group_incomplete"
    SCORER_ERROR = "scorer_error"
    SCORER_TIMEOUT = "scorer_timeout"
