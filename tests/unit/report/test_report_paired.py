"""Paired differences, their intervals, and McNemar's test, against figures worked out by hand."""

from __future__ import annotations

import pytest

from assay.report.paired import (
    agreement,
    cohens_kappa,
    mcnemar,
    paired_difference,
)


def test_the_interval_is_that_of_the_mean_of_differences():
    pairs = [(0.0, 1.0), (0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (0.0, 1.0)]
    found = paired_difference(pairs)
    # Differences 1, 0, 0, -1, 1: mean 0.2, s = sqrt(2.8 / 4).
    assert found.difference == pytest.approx(0.2)
    half = 1.959964 * (2.8 / 4 / 5) ** 0.5
    assert (found.low, found.high) == pytest.approx((0.2 - half, 0.2 + half))
    assert found.n == 5


def test_pairing_narrows_the_interval_of_samples_that_are_hard_for_both():
    hard = [(0.0, 0.0)] * 50 + [(1.0, 1.0)] * 49 + [(0.0, 1.0)]
    found = paired_difference(hard)
    assert found.high - found.low < 0.05
    # Of two independent shares near one half it would be 0.28 wide.


@pytest.mark.parametrize("pairs", [[(1.0, 0.0)], [(0.5, 0.5)] * 9, [(0.0, 1.0)] * 9])
def test_where_nothing_varies_no_interval_is_claimed(pairs):
    found = paired_difference(pairs)
    assert (found.low, found.high) == (None, None)


def test_without_pairs_there_is_no_difference():
    assert paired_difference([]) is None


@pytest.mark.parametrize(
    ("only_a", "only_b", "expected"),
    # Twice the binomial tail: 2 * sum(comb(n, i) for i in 0..k) / 2**n.
    [(0, 5, 0.0625), (1, 9, 0.021484375), (6, 6, 1.0), (30, 10, 0.0022214337732293643)],
)
def test_mcnemars_exact_p_is_the_two_sided_binomial(only_a, only_b, expected):
    assert mcnemar(only_a, only_b) == pytest.approx(expected, rel=1e-6)
    assert mcnemar(only_b, only_a) == mcnemar(only_a, only_b)


def test_many_samples_do_not_overflow():
    assert mcnemar(40_000, 42_000) < 1e-10


def test_agreement_counts_partly_right_as_not_right():
    found = agreement([(1, 1), (1, 0.5), (0.5, 0), (0, 1), (0, 1)])
    assert (found.both_right, found.only_a, found.only_b, found.neither) == (1, 1, 2, 1)
    assert agreement([(1, 1)]).p_value is None


def test_kappa_is_that_of_the_textbook():
    # Two readers of 50 proposals: both yes 20, both no 15, 5 and 10 apart: (0.7 - 0.5) / (1 - 0.5).
    pairs = [(1, 1)] * 20 + [(1, 0)] * 5 + [(0, 1)] * 10 + [(0, 0)] * 15
    assert cohens_kappa(pairs) == pytest.approx(0.4)


def test_judges_that_only_ever_say_one_thing_have_no_kappa():
    assert cohens_kappa([(1, 1)] * 9) is None
    assert cohens_kappa([]) is None
    assert cohens_kappa([(1, 1), (0, 0), (0.5, 0.5)]) == 1
