"""Two models' verdicts about the same samples: how far apart, how sure that is, and where they agree.

`compare` calls it. Scores are compared sample by sample, because most of a benchmark's noise is which
questions are hard, and that is the same for both.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

CONFIDENCE = 0.95
METHOD = (
    "mean of per-sample differences B - A with its 95% normal interval (mean ± 1.96 · s / √n)"
    " [Miller 2024, arXiv:2411.00640]; agreement: exact two-sided McNemar test [McNemar 1947]"
)


@dataclass(frozen=True, slots=True)
class Interval:
    """A paired difference, B minus A.

    Attributes:
        n: pairs.
        low, high: its confidence interval; None where no two scores differ, or there is one pair: then
            nothing can be said about the spread.
    """

    n: int
    difference: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Where two models are right; `partly` right counts as not right.

    Attributes:
        p_value: of McNemar's exact test: how likely so uneven a split of the samples that only one is
            right about would be, were both models equally good; None: there are no such samples.
    """

    both_right: int
    neither: int
    only_a: int
    only_b: int
    p_value: float | None


def paired_difference(pairs: Sequence[tuple[float, float]]) -> Interval | None:
    """The mean difference of (A, B) scores and its normal interval; None: there are no pairs.

    The standard error is that of the per-sample differences, as in E. Miller, "Adding Error Bars to
    Evals: A Statistical Approach to Language Model Evaluations" (2024, arXiv:2411.00640), who gives it
    for two models on the same questions. Samples are taken to be independent of each other.
    """
    n = len(pairs)
    if not n:
        return None
    differences = [b - a for a, b in pairs]
    mean = math.fsum(differences) / n
    spread = math.fsum((d - mean) ** 2 for d in differences)
    if n == 1 or spread == 0:
        return Interval(n, mean, None, None)
    half = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * math.sqrt(spread / (n - 1) / n)
    return Interval(n, mean, mean - half, mean + half)


def agreement(pairs: Sequence[tuple[float, float]]) -> Agreement:
    """Counts who is right, and tests whether one is right more often."""
    right = [(a == 1, b == 1) for a, b in pairs]
    only_a, only_b = right.count((True, False)), right.count((False, True))
    return Agreement(
        both_right=right.count((True, True)),
        neither=right.count((False, False)),
        only_a=only_a,
        only_b=only_b,
        p_value=mcnemar(only_a, only_b),
    )


def mcnemar(only_a: int, only_b: int) -> float | None:
    """The exact two-sided p-value of Q. McNemar's test (Psychometrika 12, 1947): a binomial with p = 1/2."""
    n = only_a + only_b
    if n == 0:
        return None
    tail = sum(_half_to_the(n, k) for k in range(min(only_a, only_b) + 1))
    return min(1.0, 2 * tail)


def cohens_kappa(pairs: Sequence[tuple[float, float]]) -> float | None:
    """How far two judges agree beyond chance; None: there are no pairs, or both only ever say one thing.

    J. Cohen, "A coefficient of agreement for nominal scales" (Educational and Psychological Measurement 20,
    1960): (p_o - p_e) / (1 - p_e), unweighted, each score being a category of its own.
    """
    n = len(pairs)
    if not n:
        return None
    observed = sum(a == b for a, b in pairs) / n
    first, second = (Counter(scores) for scores in zip(*pairs, strict=True))
    expected = sum(first[score] * second[score] for score in first) / n**2
    return None if expected == 1 else (observed - expected) / (1 - expected)


def _half_to_the(n: int, k: int) -> float:
    """The probability of k heads in n throws; by logarithms, since n may be large."""
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(ways - n * math.log(2))
