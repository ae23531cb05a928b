"""A burst is let through, and then so many requests a second."""

from __future__ import annotations

import pytest

from assay.kube.allowance import Allowance


def test_a_burst_waits_for_nothing_and_what_follows_is_spread() -> None:
    allowance = Allowance(rate=10, burst=3, clock=lambda: 0.0)
    waits = [allowance.take() for _ in range(6)]
    assert waits == pytest.approx([0, 0, 0, 0.1, 0.2, 0.3])


def test_what_is_not_used_is_saved_up_to_a_burst() -> None:
    now = [0.0]
    allowance = Allowance(rate=10, burst=3, clock=lambda: now[0])
    for _ in range(3):
        allowance.take()
    now[0] = 3600.0
    assert [allowance.take() for _ in range(4)] == pytest.approx([0, 0, 0, 0.1])


def test_in_the_long_run_the_rate_is_kept() -> None:
    now = [0.0]
    allowance = Allowance(rate=20, burst=30, clock=lambda: now[0])
    count = 0
    while now[0] < 60.0:
        now[0] += allowance.take()
        count += 1
    assert count == pytest.approx(60 * 20 + 30, abs=2)
