"""One task as the aggregator runs it: its dataset, its ledger, its committer, its score."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from assay.aggregator.committer import Committer
from assay.aggregator.ledger import Ledger
from assay.aggregator.pins import Source
from assay.aggregator.scores import StoredScore, fingerprint_of
from assay.aggregator.sources import Feed
from assay.domain.judge import EXACT, is_judged, judge_digest, judge_label
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
        feeds: former executions whose answers it goes on from.
        committed: completions made durable in this epoch.
    """

    prepared: PreparedDataset
    task_digest: str
    ledger: Ledger
    committer: Committer
    feeds: tuple[Feed, ...] = ()
    committed: int = 0

    def leave(self) -> None:
        """Listens to former executions no longer."""
        for feed in self.feeds:
            feed.stop()


@dataclass(slots=True)
class Task:
    """A task from the moment its run is opened.

    Attributes:
        opened: None: its dataset is not known yet.
        failure: why it failed for good; empty: it has not.
        score: the score of its present predictions; None: there is none yet.
        scored_in: the former execution's task whose score that is; None: its own.
        scorers: scorers that have claimed it and are at it.
    """

    id: TaskId
    run_id: str
    run: Run
    model: Model
    opened: OpenTask | None = None
    failure: str = ""
    score: StoredScore | None = None
    scored_in: Source | None = None
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
    def retry_epoch(self) -> int:
        """The run's last retry; 0: there was none."""
        return self.opened.ledger.retry_epoch if self.opened else 0

    @property
    def is_judged(self) -> bool:
        """Whether a judge model is asked about it."""
        return is_judged(self.run, self.id.dataset) and not self.predictions_only

    @property
    def judge(self) -> str:
        """Who decides: what a score of it depends on beside the records."""
        judge = self.run.judge_model
        if judge is None or not is_judged(self.run, self.id.dataset):
            return EXACT
        return f"{judge_label(self.run, self.id.dataset)} {judge_digest(judge)}"

    @property
    def fingerprint(self) -> str:
        """Names what a score of it is computed from now; its dataset is known."""
        return self.fingerprint_in(self.run_id)

    def fingerprint_in(self, run_id: str) -> str:
        """What a run of these sources (its own is one of them) calls a score of the present records."""
        assert self.opened is not None
        runs = [self.run_id, *(feed.source.run_id for feed in self.opened.feeds)]
        names = ["" if run == run_id else run for run in runs]
        return fingerprint_of(self.opened.ledger, self.judge, names)

    def is_answered_by(self, score: StoredScore, where: Source | None = None) -> bool:
        """Whether a score is of the records that count now, and has what is wanted of it.

        Answers that were scored serve who wants the answers alone as well.

        Args:
            score: a score that is kept.
            where: the task it is kept with; None: this one.
        """
        enough = self.predictions_only or not score.predictions_only
        here = self.run_id if where is None else where.run_id
        if score.unjudged and (
            where is not None or score.retry_epoch < self.retry_epoch
        ):
            # What the judge failed at was, or will be, asked again.
            return False
        return enough and score.fingerprint == self.fingerprint_in(here)

    @property
    def has_present_score(self) -> bool:
        """Whether it has a score, and it is still the one of its records."""
        score = self.score
        return score is not None and self.is_answered_by(score, self.scored_in)

    @property
    def answered_by(self) -> dict[str, int]:
        """Samples that former executions answered, by run."""
        if self.opened is None:
            return {}
        told = self.opened.ledger.answered_by
        return {
            feed.source.run_id: told[rank]
            for rank, feed in enumerate(self.opened.feeds, start=1)
            if rank in told
        }

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

    def report(self) -> TaskReport:
        """It as a report tells it."""
        opened, score = self.opened, self.score
        manifest = opened.prepared.manifest if opened else None
        withheld = self.withheld
        return TaskReport(
            id=self.id,
            state=self.state,
            counts=self.counts(0),
            unscored_by_reason=self.unscored_by_reason(),
            judge=judge_label(self.run, self.id.dataset),
            exhausted=score.exhausted if score else 0,
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
            adopted=self.answered_by,
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
