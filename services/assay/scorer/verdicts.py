"""Reads what a sealed scoring child says: untrusted lines in, domain records out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from assay.domain.errors import ScorerError
from assay.domain.sample import SampleState, UnscoredReason
from assay.domain.score import Metric, Verdict
from assay.rpc.score_client import ScoreOutcome, ScorePrediction

_CELL_LIMIT = 65_536
_METRIC_LIMIT = 100_000
_WORD_LIMIT = 1_000
_BODY_LIMIT = 4 * 1024 * 1024


class Heard(NamedTuple):
    """One judge request that a sample's verdict rests on."""

    sample_id: str
    key: str
    body: str


class Listener:
    """Collects a child's lines; `line` is `run_sealed`'s `on_line`.

    The child decides about scores, never about predictions: those are ours, and a sample whose inference
    failed keeps that reason whatever the child says.

    Attributes:
        predictions: one per sample, in dataset order; set before the child is told what to decide.
        heard: the judge requests that the verdicts rest on, in dataset order.
    """

    def __init__(
        self,
        predictions: Sequence[ScorePrediction] = (),
        *,
        predictions_only: bool = False,
    ) -> None:
        self.predictions = predictions
        self._judged = SampleState.PREDICTED if predictions_only else SampleState.SCORED
        self._verdicts: list[Verdict] = []
        self._done: Mapping[str, Any] | None = None
        self.heard: list[Heard] = []

    def line(self, line: Mapping[str, Any]) -> None:
        """Takes one line.

        Raises:
            ScorerError: the child says that scoring failed, or what it says makes no sense.
        """
        try:
            self._take(line)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ScorerError(
                f"the scoring child said something odd: {error}"
            ) from error

    def _take(self, line: Mapping[str, Any]) -> None:
        if "error" in line:
            told = line["error"]
            cure = _text(told.get("cure"), _WORD_LIMIT)
            raise ScorerError(str(_text(told["message"], _WORD_LIMIT)), cure=cure)
        if "done" in line:
            self._done = line["done"]
            return
        if "heard" in line:
            sample_id = self.predictions[line["row"]].sample_id
            for key, body in line["heard"]:
                text = _text(body, _BODY_LIMIT) or ""
                self.heard.append(Heard(sample_id, str(key), text))
            return
        for row in line["rows"]:
            self._verdicts.append(self._verdict(row))

    def _verdict(self, row: Sequence[Any]) -> Verdict:
        prediction = self.predictions[len(self._verdicts)]
        told, score, extracted, target, category = row
        failure = prediction.completion.failure
        reason = failure.reason if failure else UnscoredReason(told) if told else None
        return Verdict(
            sample_id=prediction.sample_id,
            state=SampleState.UNSCORED if reason else self._judged,
            reason=reason,
            prediction=prediction.completion.text,
            target=_text(target, _CELL_LIMIT),
            extracted=None if reason else _text(extracted, _CELL_LIMIT),
            # A missing score is an error unless none was wanted.
            score=_finite(score)
            if not reason and self._judged is SampleState.SCORED
            else None,
            category=_text(category, _CELL_LIMIT),
        )

    @property
    def verdicts(self) -> Sequence[Verdict]:
        """One per sample, in dataset order.

        Raises:
            ScorerError: some are missing.
        """
        if self._done is None or len(self._verdicts) != len(self.predictions):
            raise ScorerError(
                f"the scoring child decided {len(self._verdicts)} of"
                f" {len(self.predictions)} samples"
            )
        return self._verdicts

    def outcome(self, protections: Mapping[str, str]) -> ScoreOutcome:
        """The result to hand in; `protections` says how the child was sealed.

        Raises:
            ScorerError: the child did not finish, or its figures make no sense.
        """
        verdicts = self.verdicts
        tally = Counter(v.reason for v in verdicts if v.reason is not None)
        assert self._done is not None
        try:
            metrics = [_metric(told) for told in self._done["metrics"][:_METRIC_LIMIT]]
            versions = {
                str(_text(name, _WORD_LIMIT)): str(_text(version, _WORD_LIMIT))
                for name, version in self._done["versions"].items()
            }
            withheld = _text(self._done["withheld"], _WORD_LIMIT) or ""
            exhausted = min(int(self._done.get("exhausted", 0)), len(verdicts))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ScorerError(
                f"the scoring child said something odd: {error}"
            ) from error
        return ScoreOutcome(
            scored=sum(v.state is SampleState.SCORED for v in verdicts),
            unscored=tally.total(),
            unscored_by_reason=dict(sorted(tally.items())),
            metrics=metrics,
            withheld=withheld,
            provenance={**versions, **protections},
            exhausted=max(exhausted, 0),
        )


def _metric(told: Mapping[str, Any]) -> Metric:
    low, high = told["scale"]
    value, upstream = told["value"], told.get("upstream")
    return Metric(
        name=str(_text(told["name"], _WORD_LIMIT)),
        split=str(_text(told["split"], _WORD_LIMIT)),
        value=None if value is None else _finite(value),
        scale=(_finite(low), _finite(high)),
        n=int(told["n"]),
        bounds=_bounds(told.get("bounds")),
        upstream_value=None if upstream is None else _finite(upstream),
        upstream_reason=_text(told.get("upstream_reason"), _WORD_LIMIT) or "",
    )


def _bounds(told: Sequence[Any] | None) -> tuple[float, float] | None:
    if told is None:
        return None
    low, high = map(_finite, told)
    if low > high:
        raise ValueError(f"{low} to {high} are no bounds")
    return low, high


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{number} is no score")
    return number


def _text(value: Any, limit: int) -> str | None:
    """Text that can be stored: capped, and without halves of characters."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} instead of text")
    return value[:limit].encode(errors="replace").decode()
