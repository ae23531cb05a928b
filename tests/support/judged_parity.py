"""Whole runs on every dataset that a judge decides, by Assay and by real VLMEvalKit, and what differs.

Both ask the same model endpoint and judges that reply alike; `parity` and `judged_tables` give the rest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.conversations import conversations
from support.judge_endpoint import JudgeEndpoint, judge_endpoint
from support.judged import MODEL as JUDGE
from support.judged import figures_of
from support.judged_tables import JUDGED
from support.local_runs import picture_cells
from support.parity import PARAMETERS, SERVED, eval_file, run_assay, skip_without_peer
from support.parity_endpoint import ParityEndpoint, Reply, parity_endpoint
from support.parity_results import Both
from support.peer_environment import run_peer
from support.scoring import COLLECTIONS, PICTURE, tsv

_SCRIPT = Path(__file__).with_name("peer") / "judged_vlmevalkit.py"
_TAG = re.compile(r"\(([A-Za-z0-9_-]+)-\d{4}\)")


def write(folder: Path, name: str, endpoint: ParityEndpoint) -> dict[str, Path]:
    """The TSVs of a dataset, with pictures and tagged questions; what the model says goes to the endpoint."""
    if name == "MMDU":
        columns, replies = conversations(6)
        endpoint.replies |= {tag: Reply(text=text) for tag, text in replies.items()}
        return {name: tsv(folder / f"{name}.tsv", columns)}
    found = {}
    for member in COLLECTIONS.get(name, (name,)):
        columns, answers = JUDGED[name].columns, JUDGED[name].answers
        tags = [f"{member}-{row:04d}" for row in range(len(columns["index"]))]
        said = zip(tags, answers, strict=False)
        endpoint.replies |= {tag: Reply(text=text) for tag, text in said}
        asked = zip(columns["question"], tags, strict=True)
        whole = columns | {
            "question": [f"{question} ({tag})" for question, tag in asked],
            "image": [_pictured(*cell) for cell in enumerate(columns["image"])],
        }
        found[member] = tsv(folder / f"{member}.tsv", whole)
    return found


def _pictured(row: int, cell: object) -> object:
    # Of rows that share a picture's file, the first one's is sent: one of the same pair.
    return picture_cells()[row // 2] if cell == PICTURE else cell


@dataclass(frozen=True)
class JudgedBoth:
    """The two sides after they ran."""

    both: Both
    judges: dict[str, JudgeEndpoint]

    def differing(self, name: str) -> dict[str, tuple[int, list[str]]]:
        """What there was to compare, and which of it is not equal."""
        both = self.both
        told, rows = both.told(name), both.samples(name)
        theirs, ours = both.asked("peer", name), both.asked("assay", name)
        judged = [self._judged(who, name) for who in ("assay", "peer")]
        scores = {row["sample_id"]: row["score"] for row in rows}
        parts = {key: told["rotations"].get(key, [key]) for key in told["verdicts"]}
        own = {key: min(scores[each] for each in ids) for key, ids in parts.items()}
        told_texts = {str(key): text for key, text in told["predictions"]}
        texts = {row["sample_id"]: _text(row["prediction"], name) for row in rows}
        return {
            "requests": _apart(ours, theirs),
            "predictions": _apart(texts, told_texts),
            "judge requests": _apart(*(dict.fromkeys(each) for each in judged)),
            "verdicts": _apart(own, told["verdicts"]),
            "files": _apart(both.files(name), both.peer_files(name)),
            "figures": _apart(both.figures(name), figures_of(told["scores"])),
        }

    def _judged(self, who: str, name: str) -> Iterable[str]:
        members = COLLECTIONS.get(name, (name,))
        return [b for b in self.judges[who].bodies if _TAG.findall(b)[-1] in members]


def _text(prediction: str, name: str) -> object:
    return json.loads(prediction) if name == "MMDU" else prediction


def _apart(ours: dict, theirs: dict) -> tuple[int, list[str]]:
    keys = ours.keys() | theirs.keys()
    return len(theirs), [str(k) for k in keys if ours.get(k) != theirs.get(k)]


def run_judged_both(folder: Path, names: list[str], stack: ExitStack) -> JudgedBoth:
    """The peer and Assay side by side, under the seed's three keys and no `judge`."""
    skip_without_peer()
    endpoint = stack.enter_context(parity_endpoint())
    judges = {who: stack.enter_context(judge_endpoint()) for who in ("assay", "peer")}
    lmu = folder / "lmu"
    paths: dict[str, Path] = {}
    for name in names:
        paths |= write(lmu, name, endpoint)
    model = {"name": "CustomAPIModel", "type": SERVED, **PARAMETERS}
    own = model | {"api_base": endpoint.url("assay"), "wait": 0.05}
    config = eval_file(folder / "outputs", [own], names, paths)
    config["eval_config"] |= _judging(judges["assay"])
    del config["eval_config"]["judge"]
    with ThreadPoolExecutor(1, thread_name_prefix="peer") as pool:
        running = pool.submit(
            run_peer,
            folder / "peer",
            lmu_data=lmu,
            datasets=names,
            model=model | {"api_base": endpoint.url("peer")},
            nproc=8,
            retry=2,
            script=_SCRIPT,
            environment=_judging(judges["peer"]),
        )
        assay = run_assay(folder / "assay", config)
        if assay.code:
            pytest.fail(assay.said)
        return JudgedBoth(Both(running.result(), assay, endpoint), judges)


def _judging(judge: JudgeEndpoint) -> dict[str, str]:
    address = f"{judge.base}/chat/completions"
    return {
        "OPENAI_API_BASE": address,
        "LOCAL_LLM": JUDGE,
        "OPENAI_API_KEY": "EMPTY",
    }
