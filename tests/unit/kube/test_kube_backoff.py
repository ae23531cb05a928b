"""Waits grow, differ, and begin anew only when told."""

from __future__ import annotations

import itertools

from assay.kube.backoff import Backoff


def test_waits_double_up_to_the_limit() -> None:
    backoff = Backoff(1.0, 8.0, chance=lambda: 1.0)
    assert [backoff.next() for _ in range(6)] == [1, 2, 4, 8, 8, 8]


def test_a_wait_is_never_less_than_half_of_its_whole() -> None:
    backoff = Backoff(1.0, 8.0, chance=lambda: 0.0)
    assert [backoff.next() for _ in range(5)] == [0.5, 1, 2, 4, 4]


def test_a_wait_that_the_server_asks_for_is_kept() -> None:
    assert Backoff(1.0, 8.0).next(at_least=20.0) == 20.0


def test_a_reset_begins_with_the_first_wait() -> None:
    backoff = Backoff(1.0, 8.0, chance=lambda: 1.0)
    for _ in range(5):
        backoff.next()
    backoff.reset()
    assert backoff.next() == 1.0


def test_weeks_of_failures_overflow_nothing() -> None:
    backoff = Backoff(1.0, 30.0, chance=lambda: 1.0)
    waits = [backoff.next() for _ in range(5000)]
    assert waits[-1] == 30.0


def test_at_most_twelve_attempts_fall_into_a_minute() -> None:
    shortest = Backoff(chance=lambda: 0.0)
    times = itertools.accumulate(shortest.next() for _ in range(100))
    assert sum(moment < 60 for moment in times) <= 11
