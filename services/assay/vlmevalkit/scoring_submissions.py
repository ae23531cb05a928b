"""Datasets whose answers are not public: the file to submit, by upstream's own code, and why no score.

Called by the scoring child where nothing is to be evaluated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from assay.domain import catalog

_LEADERBOARDS: Mapping[str, str] = {
    "MMMU_TEST": "submit {file} to the MMMU leaderboard",
    "MMT-Bench": "submit {file} to https://eval.ai/web/challenges/challenge-page/2328/overview",
}
"""Where a submission file goes, by the beginning of the dataset's name."""

_NO_SCORER: Mapping[str, str] = {
    "AesBench_TEST": "no score: its authors keep the answers and score what is sent to them",
    "MLLMGuard_DS": "no score: upstream has no scorer for MLLMGuard_DS",
}


def write(dataset: str, predictions: Path, judge: str) -> Path | None:
    """Lets upstream write the submission file of `dataset`; None: it has none.

    Failed rows hold upstream's failure text there, as they do in the prediction file.
    """
    from vlmeval.utils import result_transfer  # noqa: PLC0415 - only behind the shim

    if dataset == "MMMU_TEST":
        return Path(result_transfer.MMMU_result_transfer(str(predictions)))
    if "MMT-Bench_ALL" in dataset:
        return Path(
            result_transfer.MMTBench_result_transfer(
                str(predictions), dataset, model=judge, nproc=4
            )
        )
    return None


def why(dataset: str, submission: Path | None, targets: Sequence[str | None]) -> str:
    """Why there are predictions and no score."""
    if submission is not None:
        cure = next(
            text for word, text in _LEADERBOARDS.items() if dataset.startswith(word)
        )
        return (
            f"no score: the answers of {dataset} are not public;"
            f" {cure.format(file=submission.name)}"
        )
    if dataset in _NO_SCORER:
        return _NO_SCORER[dataset]
    if not any(targets):
        return (
            f"no score: the file of {dataset} holds no answers; predictions were made"
        )
    entry = catalog.lookup(dataset)
    if entry is not None and not entry.answers:
        # Upstream decides by the name; the splits of MMBench it scores where every row has an answer.
        if not dataset.startswith("MMBench_TEST"):
            return (
                f"no score: upstream scores no file of {dataset}; predictions were made"
            )
        if not all(targets):
            return f"no score: not every row of {dataset} has an answer; predictions were made"
    return "mode infer: predictions were made, nothing was scored"
