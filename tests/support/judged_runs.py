"""Runs of `assay run` that a judge decides: what their files say, and what they leave."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import pandas as pd

from assay.domain.judge import ordinal_of, request_key
from assay.store.segments import decode_segment
from support.local_runs import DATASET, MODEL, picture_cells


def judged(judge, **more):
    """What a file's eval_config says to have this endpoint judge."""
    base = {"judge": "judge-1", "judge_base_url": judge.base, "judge_api_nproc": 4}
    return {**base, "judge_retry": 2, **more}


def judged_by(judge, **more):
    """The same of a run in a cluster: an address of the pod itself would be refused."""
    told = judged(judge, **more)
    base = told["judge_base_url"].replace("127.0.0.1", "0.0.0.0")
    return {**told, "judge_base_url": base}


def vague(number: int) -> str:
    """An answer that only a judge can read, of every third sample."""
    return "I would say the first thing" if number % 3 == 0 else "ABCD"[number % 4]


def table(run_dir: Path, ending: str = ".parquet", dataset: str = DATASET):
    """A sample table of the run."""
    return pd.read_parquet(run_dir / "samples" / MODEL / f"{dataset}{ending}")


def kept(run_dir: Path, dataset: str = DATASET) -> dict[str, bytes]:
    """The files that every run of equal answers and equal replies leaves byte by byte."""
    there = run_dir / "samples" / MODEL
    return {
        "samples": (there / f"{dataset}.parquet").read_bytes(),
        "judge": (there / f"{dataset}.judge.parquet").read_bytes(),
        "metrics": (run_dir / "metrics.json").read_bytes(),
    }


def durable(run_dir: Path) -> set[int]:
    """The numbers of the judge requests whose answer is in the store."""
    found = set()
    for path in run_dir.rglob("judge/*/completions/*/*.seg"):
        try:
            segment = decode_segment(path.read_bytes(), str(path))
        except FileNotFoundError:
            continue
        found.update(placed.record.completion.ordinal for placed in segment.records)
    return found


def number_of(body: dict) -> int:
    """What a request at temperature 0 that no sample has sent before is kept under."""
    return ordinal_of(request_key(body, "", 1))


def write_table(path: Path, columns: dict[str, list[object]]) -> dict:
    """An official dataset's TSV with pictures, its questions tagged for the stub; its source."""
    rows = len(columns["question"])
    questions = [f"{text} #{n}" for n, text in enumerate(columns["question"])]
    whole = {**columns, "question": questions, "image": picture_cells()[:rows]}
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t")
        writer.writerow(whole)
        writer.writerows(zip(*whole.values(), strict=True))
    return {path.stem: {"path": str(path), "md5": _md5(path)}}


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()
