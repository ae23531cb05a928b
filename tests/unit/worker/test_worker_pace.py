"""Limits and pauses: pure arithmetic, no waiting."""

import random
from collections import deque

import pytest

from assay.worker.backoff import (
    RETRY_AFTER_CAP_SECONDS,
    RETRY_CAP_SECONDS,
    reconnect_delay,
    retry_delay,
)
from assay.worker.limit import AdaptiveLimit


def limit_of(most: int) -> AdaptiveLimit:
    limit = AdaptiveLimit(timeout=10.0)
    limit.grant(most)
    return limit


def land(limit: AdaptiveLimit, count: int, *, refused: int, now: float) -> None:
    for number in range(count):
        limit.landed(started=now, now=now, overloaded=number < refused, latency=0.1)


def test_all_that_is_granted_is_used_from_the_start() -> None:
    assert limit_of(64).present == 64


def test_nothing_granted_is_nothing() -> None:
    assert limit_of(0).present == 0


def test_a_grant_is_followed_up_and_down_at_once() -> None:
    limit = limit_of(8)
    limit.grant(64)
    assert limit.present == 64
    limit.grant(2)
    assert limit.present == 2


def test_a_few_refusals_in_a_round_change_nothing() -> None:
    limit = limit_of(64)
    land(limit, 64, refused=5, now=1.0)
    assert limit.present == 64


def test_under_pressure_it_falls_to_the_share_that_got_through() -> None:
    limit = limit_of(64)
    land(limit, 64, refused=16, now=1.0)
    assert limit.present == 48


def test_it_never_falls_below_half_in_a_round_nor_below_one() -> None:
    limit = limit_of(64)
    land(limit, 64, refused=64, now=1.0)
    assert limit.present == 32
    for now in range(2, 20):
        land(limit, 64, refused=64, now=float(now))
    assert limit.present == 1


def test_outcomes_of_requests_sent_under_a_larger_limit_do_not_count_twice() -> None:
    limit = limit_of(64)
    land(limit, 64, refused=64, now=1.0)
    for _ in range(64):
        limit.landed(started=0.5, now=2.0, overloaded=True, latency=0.1)
    assert limit.present == 32


def test_answers_that_take_half_of_the_time_out_are_pressure() -> None:
    limit = limit_of(8)
    for _ in range(8):
        limit.landed(started=1.0, now=1.0, overloaded=False, latency=6.0)
    assert limit.present < 8


def test_without_pressure_it_comes_back_within_twenty_rounds() -> None:
    limit = limit_of(64)
    for now in range(1, 8):
        land(limit, 64, refused=64, now=float(now))
    for now in range(10, 100):
        land(limit, limit.present, refused=0, now=float(now))
    assert limit.present == 64


def test_it_settles_near_what_a_server_can_take() -> None:
    """A server with 48 slots refuses what is beyond them: simulated, by rounds."""
    limit, seen = limit_of(256), deque[int](maxlen=50)
    for now in range(1, 200):
        sent = limit.present
        land(limit, sent, refused=max(0, sent - 48), now=float(now))
        seen.append(sent)
    assert 44 <= sum(seen) / len(seen) <= 56


def test_a_retry_waits_up_to_twice_wait_and_doubles() -> None:
    most = [retry_delay(n, 1.0, None, 1.0) for n in (1, 2, 3, 50)]
    assert most == [2.0, 4.0, 8.0, RETRY_CAP_SECONDS]
    assert retry_delay(3, 1.0, None, 0.0) == 0.0


def test_a_retry_never_comes_before_retry_after() -> None:
    dice = random.Random(1)
    assert all(7.0 <= retry_delay(1, 1.0, 7.0, dice.random()) <= 8.0 for _ in range(99))


def test_an_unreasonable_retry_after_is_capped() -> None:
    assert retry_delay(1, 0.0, 1e9, 0.5) == RETRY_AFTER_CAP_SECONDS


@pytest.mark.parametrize("dice", [0.0, 0.5, 0.999])
def test_reconnecting_backs_off_to_a_most(dice: float) -> None:
    delays = [reconnect_delay(n, 0.2, 5.0, dice) for n in range(1, 40)]
    assert delays == sorted(delays)
    assert delays[0] <= 0.2
    assert delays[-1] <= 5.0
