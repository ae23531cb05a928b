"""Between ScoreService's messages and score records, as the serving side needs them."""

from __future__ import annotations

from assay.domain.score import Metric
from assay.rpc.convert import completion_to_proto, reason_from_proto
from assay.rpc.score_client import ScoreHead, ScoreOutcome, ScorePrediction
from assay.rpc.score_judging import terms_to_proto
from assay.v1 import score_pb2


def head_to_proto(head: ScoreHead) -> score_pb2.ScoreInputHead:
    """What a claimed task is."""
    return score_pb2.ScoreInputHead(
        dataset=head.dataset,
        model=head.model,
        judge=head.judge,
        total=head.total,
        limit=head.limit,
        prepared_digest=head.prepared_digest,
        predictions_only=head.predictions_only,
        judging=None if head.judging is None else terms_to_proto(head.judging),
    )


def prediction_to_proto(prediction: ScorePrediction) -> score_pb2.Prediction:
    """The winning record of one sample."""
    return score_pb2.Prediction(
        ordinal=prediction.ordinal,
        sample_id=prediction.sample_id,
        completion=completion_to_proto(prediction.completion),
        worker_id=prediction.worker_id,
    )


def outcome_from_proto(message: score_pb2.ScoreResult) -> ScoreOutcome:
    """What a scorer hands in, besides files.

    Raises:
        KeyError: a reason this version does not know.
    """
    return ScoreOutcome(
        scored=message.scored_count,
        unscored=message.unscored_count,
        unscored_by_reason={
            reason_from_proto(tally.reason): tally.count
            for tally in message.unscored_by_reason
        },
        metrics=[_metric(metric) for metric in message.metrics],
        withheld=message.withheld,
        provenance=dict(message.provenance),
        exhausted=message.exhausted_count,
    )


def _metric(message: score_pb2.MetricValue) -> Metric:
    return Metric(
        name=message.name,
        split=message.split,
        value=message.value if message.HasField("value") else None,
        scale=(message.scale_low, message.scale_high),
        n=message.sample_count,
        bounds=(message.bounds_low, message.bounds_high)
        if message.HasField("bounds_low") and message.HasField("bounds_high")
        else None,
        upstream_value=message.upstream_value
        if message.HasField("upstream_value")
        else None,
        upstream_reason=message.upstream_reason,
    )
