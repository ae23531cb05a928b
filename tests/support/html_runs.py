"""Run folders as a finished run leaves them, for tests of the page made from one."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import replace
from pathlib import Path

from PIL import Image, ImageDraw

from assay.domain.completion import Completion, Failure
from assay.domain.report import RunState, TaskReport
from assay.domain.sample import SampleState, UnscoredReason
from assay.domain.score import Verdict
from assay.domain.task import TaskCounts, TaskId, TaskState
from assay.report.build import report_json
from assay.rpc.score_client import ScorePrediction
from assay.scorer.tables import sample_table, timing_table
from assay.store.folder import FolderStore
from support.prepared import put_prepared
from support.reports import a_report, metric, tasks

HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    "<!--<script>alert(2)//",
    "{{ 7*7 }} ${7*7} &lt;b&gt; ' \" ` \\",
    "\u202edesrever\u2066 \x00 \x1b[31m \u2028 \ud7ff \U0001f4a5",
    "javascript:alert(3) data:text/html,<script>alert(4)</script>",
    "A" * 40_000,
)
SAID = "HTTP 500: </script><img src=x onerror=alert(6)> it is overloaded"
CATEGORIES = ("coarse perception", "fine-grained perception", "logic <b>&", "math")


def verdict(ordinal: int, *, right: int = 2) -> Verdict:
    """One in 25 is unscored; of the others, `right` in three are right; every ninth is hostile."""
    text = (
        HOSTILE[ordinal // 9 % len(HOSTILE)]
        if ordinal % 9 == 5
        else f"The answer is {'ABCD'[ordinal % 4]}, since the picture shows {ordinal} things."
    )
    common = {
        "sample_id": str(ordinal),
        "target": "ABCD"[(ordinal + (ordinal % 3 >= right)) % 4],
        "category": CATEGORIES[ordinal % 4],
    }
    if ordinal % 25 == 24:
        reason = list(UnscoredReason)[ordinal // 25 % 4]
        return Verdict(state=SampleState.UNSCORED, reason=reason, **common)
    return Verdict(
        state=SampleState.SCORED,
        prediction=text,
        extracted="ABCD"[ordinal % 4],
        score=float(ordinal % 3 < right),
        **common,
    )


def prediction(of: Verdict) -> ScorePrediction:
    """What the endpoint gave for a sample with this verdict; of those without one it said `SAID`."""
    failure = of.reason and Failure(reason=of.reason, message=SAID)
    completion = Completion(
        ordinal=int(of.sample_id),
        text=None if failure else "an answer",
        failure=failure,
    )
    return ScorePrediction(
        ordinal=int(of.sample_id),
        sample_id=of.sample_id,
        completion=completion,
        worker_id="w1",
    )


def task_of(model: str, dataset: str, verdicts: list[Verdict]) -> TaskReport:
    """The task these verdicts make, with a score that is their mean."""
    scores = [v.score for v in verdicts if v.score is not None]
    reasons = Counter(v.reason for v in verdicts if v.reason)
    n = len(scores)
    return replace(
        tasks()[0],
        id=TaskId(model, dataset),
        state=TaskState.COMPLETE,
        counts=TaskCounts(total=len(verdicts), scored=n, unscored=len(verdicts) - n),
        unscored_by_reason=dict(reasons),
        metrics=(
            metric("Overall", sum(scores) / n, n=n),
            *(metric(name, 0.25 * i, n=n // 4) for i, name in enumerate(CATEGORIES)),
        ),
        samples=f"samples/{model}/{dataset}.parquet",
    )


def pictured(store: FolderStore, folder: Path, samples: int, pictures: int) -> str:
    """Prepares MMStar with so many samples and so many pictures that differ; returns its digest."""
    first, *more = [_picture(number) for number in range(pictures)]
    return put_prepared(
        store,
        folder,
        name="MMStar",
        questions=[
            f"How many things are in picture {n}?\nA. {n}\nB. {n + 1}\nC. {n + 2}\nD. none"
            for n in range(samples)
        ],
        picture=first,
        more_pictures=more,
    )


def _picture(number: int) -> bytes:
    """Discs in colours of the number's own, as a small JPEG."""
    image = Image.new("RGB", (96 + number % 5 * 24, 72), (246, 244, 238))
    draw = ImageDraw.Draw(image)
    for disc in range(number % 7 + 1):
        x, y = (disc * 53 + number * 17) % 120, (disc * 29 + number * 7) % 48
        shade = (number * 37 % 256, (number + disc) * 61 % 256, number * 11 % 256)
        draw.ellipse((x, y, x + 24, y + 24), fill=shade)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80)
    return out.getvalue()


def run_folder(folder: Path, samples: int, prepared: str = "") -> Path:
    """Two models on MMStar with so many samples, one task withheld, one failed."""
    done = []
    for model, right in (("My_Model", 2), ("My_Model-2", 1)):
        verdicts = [verdict(ordinal, right=right) for ordinal in range(samples)]
        task = task_of(model, "MMStar", verdicts)
        if prepared:
            task = replace(task, prepared_digest=prepared)
        path = folder / task.samples
        path.parent.mkdir(parents=True)
        path.write_bytes(sample_table(verdicts))
        path.with_suffix(".timing.parquet").write_bytes(
            timing_table([prediction(v) for v in verdicts])
        )
        done.append(task)
    below = replace(
        tasks()[1], id=TaskId("My_Model-2", "mine<script>alert(5)</script>"), samples=""
    )
    report = a_report(state=RunState.BELOW_COVERAGE, tasks=(*done, tasks()[2], below))
    (folder / "report.json").write_bytes(report_json(report))
    return folder
