"""Verdicts and metrics: what a scorer returns for a task."""

from __future__ import annotations

from dataclasses import dataclass

from assay.domain.sample import SampleState, UnscoredReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The scorer's decision for one sample, and the row of the sample table.

    Attributes:
        prediction: the raw answer; None where there is none.
        target: the expected answer as the dataset gives it; None: the dataset gives none.
        extracted: what upstream read out of the prediction; None: it read nothing.
        score: on the family's per-sample scale (see `Metric.scale`); None unless SCORED.
        category: the dataset's own category or split of the sample; None: it has none.
    """

    sample_id: str
    state: SampleState
    reason: UnscoredReason | None = None
    prediction: str | None = None
    target: str | None = None
    extracted: str | None = None
    score: float | None = None
    category: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number over many samples, as upstream computes it.

    Attributes:
        name: upstream's column or key (`Overall`, a category, `F1`, ...).
        split: upstream's split of the row; `none` where it has none.
        value: None: withheld or not a number.
        scale: lowest and highest value it can take.
        n: samples it was computed over (scored ones); 0: not known for this metric.
        bounds: lowest and highest value it could have had every unscored sample a verdict; None: not
            known for this metric.
        upstream_value: what upstream would have printed, its failures scored as it scores them; None:
            not known.
        upstream_reason: why `upstream_value` is None; empty: nobody asked.
    """

    name: str
    split: str
    value: float | None
    scale: tuple[float, float]
    n: int
    bounds: tuple[float, float] | None = None
    upstream_value: float | None = None
    upstream_reason: str = ""
