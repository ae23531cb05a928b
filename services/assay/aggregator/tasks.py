"""One task as the aggregator runs it: its dataset, its ledger, its committer, its score."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from assay.aggregator.committer import Committer
from assay.aggregator.ledger import Ledger
from assay.aggregator.scores import StoredScore, fingerprint_of
from assay.domain.prepared import Manifest
from assay.domain.report import TaskReport
from assay.domain.run import Mode, Model, Run
from assay.domain.sample import UnscoredReason
from assay.domain.score import Metric
from assay.domain.task import TaskCounts, TaskId, TaskState
from assay.store.prepared import PreparedDataset


@dataclass(slots=True)
class OpenTask:
    """A task whose dataset is known.

    Attributes:
        task_digest: names its predictions.
        committed: completions made durable in this epoch.
    """

    prepared: PreparedDataset
    task_digest: str
    ledger: Ledger
    committer: Committer
    committed: int = 0


@dataclass(slots=True)
class Task:
    """A task from the moment its run is opened.

    Attributes:
        opened: None: its dataset is not known yet.
        failure: why it failed for good; empty: it has not.
        score: the score of its present predictions; None: there is none yet.
        scorers: scorers that have claimed it and are at it.
    """

    id: TaskId
    run: Run
    model: Model
    opened: OpenTask | None = None
    failure: str = ""
    score: StoredScore | None = None
    scorers: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def predictions_only(self) -> bool:
        """Whether its answers are wanted, and no score of them: it is not asked for, or cannot be had."""
        unanswered = (
            self.opened is not None and not self.opened.prepared.manifest.answers
        )
        return unanswered or self.run.mode is Mode.INFER

    @property
    def fingerprint(self) -> str:
        """Names what a score of it is computed from now; its dataset is known."""
        assert self.opened is not None
        return fingerprint_of(self.opened.ledger, self.run.judge)

    def is_answered_by(self, score: StoredScore) -> bool:
        """Whether a score is of the records that count now, and has what is wanted of it.

        Answers that were scored serve who wants the answers alone as well.
        """
        enough = self.predictions_only or not score.predictions_only
        return enough and score.fingerprint == self.fingerprint

    @property
    def state(self) -> TaskState:
        """Where it is in its life."""
        if self.failure:
            return TaskState.FAILED
        if self.opened is None:
            return TaskState.WAITING
        if self.opened.ledger.open_count:
            return TaskState.INFERRING
        if self.score is not None:
            return self._ended(self._good())
        return TaskState.SCORING if self.scorers else TaskState.INFERRED

    @property
    def withheld(self) -> str:
        """Why there are no metrics though it was scored; empty: there are, or it was not."""
        if self.score is None or self.opened is None:
            return ""
        if self.state is TaskState.BELOW_COVERAGE and not self.score.withheld:
            return (
                f"coverage {self._good()}/{self.opened.ledger.total} is below the"
                f" threshold {self.run.coverage_threshold:g}"
            )
        return self.score.withheld

    @property
    def hides_files(self) -> bool:
        """Whether upstream's files are kept back: they would show a score that is withheld."""
        below = self.state is TaskState.BELOW_COVERAGE
        return below and self.score is not None and not self.score.predictions_only

    def _good(self) -> int:
        """Samples that count for coverage: with a verdict, or with an answer where none is wanted."""
        if self.score is None or self.opened is None:
            return 0
        if self.score.predictions_only:
            return self.opened.ledger.answered_count
        return self.score.scored

    def _ended(self, good: int) -> TaskState:
        assert self.opened is not None
        assert self.score is not None
        total = self.opened.ledger.total
        covered = not total or good / total >= self.run.coverage_threshold
        wanted = not self.score.predictions_only
        if covered and not (wanted and self.score.withheld):
            return TaskState.COMPLETE
        # With a verdict for every sample and yet no score, asking again changes nothing.
        hopeless = covered and not self.score.unscored
        return TaskState.FAILED if hopeless else TaskState.BELOW_COVERAGE

    def counts(self, leased: int) -> TaskCounts:
        """Its samples by what has become of them; `leased` of the open ones somebody holds."""
        if self.opened is None:
            return TaskCounts()
        ledger = self.opened.ledger
        if self.score is not None and not ledger.open_count:
            return TaskCounts(
                total=ledger.total,
                scored=self.score.scored,
                unscored=self.score.unscored,
                predicted=ledger.total - self.score.scored - self.score.unscored,
            )
        held = min(leased, ledger.open_count)
        return TaskCounts(
            total=ledger.total,
            pending=ledger.open_count - held,
            leased=held,
            predicted=ledger.answered_count,
            unscored=ledger.unscored_count,
        )

    def unscored_by_reason(self) -> dict[UnscoredReason, int]:
        """How many samples have no verdict for which reason; none of zero."""
        if self.opened is None:
            return {}
        if self.score is not None and not self.opened.ledger.open_count:
            return dict(self.score.unscored_by_reason)
        return self.opened.ledger.unscored_by_reason

    def report(self, judge: str) -> TaskReport:
        """It as a report tells it."""
        opened, score = self.opened, self.score
        manifest = opened.prepared.manifest if opened else None
        withheld = self.withheld
        return TaskReport(
            id=self.id,
            state=self.state,
            counts=self.counts(0),
            unscored_by_reason=self.unscored_by_reason(),
            judge=judge,
            metrics=self._metrics(),
            withheld=withheld,
            message=self.failure,
            files=()
            if score is None
            else score.published(self.id, withheld=self.hides_files),
            samples=f"samples/{self.id}.parquet" if score else "",
            prepared_digest=manifest.digest if manifest else "",
            source_digest=manifest.source_digest if manifest else "",
            task_digest=opened.task_digest if opened else "",
            provenance=score.provenance if score else {},
        )

    def _metrics(self) -> tuple[Metric, ...]:
        """Its figures; a withheld one keeps what it lies between, and what upstream would have printed."""
        if self.score is None:
            return ()
        if not self.withheld:
            return self.score.metrics
        return tuple(replace(metric, value=None) for metric in self.score.metrics)


def limited_too_far(manifest: Manifest, run: Run) -> str:
    """Why upstream cannot score the first `limit` rows of a dataset; empty: it can, or need not."""
    least = manifest.least_limit
    if run.mode is Mode.INFER or run.limit is None or run.limit >= least:
        return ""
    return (
        f"upstream cannot score the first {run.limit} rows of {manifest.name}: its averages need every"
        f" kind of task, and the last one comes with row {least} (write limit: {least} or more, or"
        " name another dataset)"
    )
