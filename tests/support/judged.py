"""One table scored with a judge: by the sealed child and an asker in this process, and by real VLMEvalKit."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from assay.domain.completion import Failure
from assay.domain.judge import JudgeAnswer, JudgeRequest
from assay.domain.sample import UnscoredReason
from assay.scorer.equality import Equality
from assay.scorer.judging import Judging, letter, run_asking
from assay.seal.launch import SealedJob
from support import scoring
from support.judge_endpoint import JudgeEndpoint
from support.parity_results import content
from support.peer_environment import peer_python

MODEL = "judge-1"
LABEL = "gpt-4o-mini"
_SCRIPT = Path(__file__).with_name("peer") / "judge_vlmevalkit.py"


@dataclass
class Asker:
    """Asks the endpoint once for each key, and keeps what it said."""

    endpoint: JudgeEndpoint
    answers: dict[str, JudgeAnswer] = field(default_factory=dict)
    asked: list[JudgeRequest] = field(default_factory=list)

    async def ask(self, request: JudgeRequest) -> JudgeAnswer:
        assert request.key not in self.answers, "asked twice"
        self.asked.append(request)
        url = f"{self.endpoint.base}/chat/completions"
        headers = {"Content-Type": "application/json"}
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=request.body.encode(), headers=headers) as response,
        ):
            told = await response.json()
        answer = _answer(request.key, response.status, told)
        self.answers[request.key] = answer
        return answer


def _answer(key: str, status: int, told: dict) -> JudgeAnswer:
    if status != 200:
        failure = Failure(reason=UnscoredReason.SERVER_ERROR, message=f"HTTP {status}")
        return JudgeAnswer(key=key, failure=failure)
    return JudgeAnswer(key=key, text=told["choices"][0]["message"]["content"])


@dataclass(frozen=True)
class Judged:
    """What the child told: rows, heard requests by row, the last word, its files."""

    ids: list[str]
    rows: list[list[object]]
    heard: dict[int, list[list[object]]]
    done: dict
    out: Path

    @property
    def reasons(self) -> list[object]:
        return [row[0] for row in self.rows]

    @property
    def scores(self) -> list[object]:
        return [row[1] for row in self.rows]


async def score(
    folder: Path,
    name: str,
    columns,
    answers,
    asker: Asker,
    *,
    slots: int = 8,
    label: str = LABEL,
    settings=None,
    patience: float = 30.0,
) -> Judged:
    """The sealed child on one table; what `asker` knows is there from the start."""
    rows = scoring.layout(folder, name, columns, answers)
    for member in scoring.COLLECTIONS.get(name, ()):
        (folder / "lmu" / f"{member}.tsv").unlink()
    known = [json.dumps(letter(answer)) + "\n" for answer in asker.answers.values()]
    (folder / "answers.jsonl").write_text("".join(known))
    judging = {"model": MODEL, "slots": slots, "settings": settings or {}}
    document = {"dataset": name, "model": "m", "judge": label, "limit": 0}
    document["judging"] = judging
    job = SealedJob(
        module="assay.vlmevalkit.scoring",
        workdir=folder,
        time_limit_seconds=100,
        environment={"MALLOC_ARENA_MAX": "2"},
    )
    lines: list[dict] = []
    samples = {str(row["id"]) for row in rows}
    await run_asking(
        job,
        lines.append,
        _ready(json.dumps(document).encode()),
        lambda: Judging(model=MODEL, ask=asker.ask, samples=samples, total=len(rows)),
        equality=Equality(job, patience),
    )
    assert "done" in lines[-1], lines[-1]
    return Judged(
        [str(row["id"]) for row in rows],
        [row for line in lines for row in line.get("rows", ())],
        {line["row"]: line["heard"] for line in lines if "heard" in line},
        lines[-1]["done"],
        folder / "out",
    )


async def _ready(value):
    return value


@dataclass(frozen=True)
class Peer:
    """What real VLMEvalKit left; of rotated questions its verdict is the question's."""

    scores: object
    verdicts: dict[str, float]
    rotations: dict[str, list[str]]
    out: Path


def score_peer(
    folder: Path, name: str, columns, answers, endpoint: JudgeEndpoint, *, label=LABEL
) -> Peer:
    """VLMEvalKit's own evaluate() in its own environment, asking the endpoint itself."""
    scoring.layout(folder, name, columns, answers)
    for member in scoring.COLLECTIONS.get(name, ()):
        # A collection's pictures are written before it is scored; what is there is left alone.
        pictures = folder / "lmu" / "images" / member
        pictures.mkdir(parents=True)
        for index in columns["index"]:
            (pictures / f"{index}.jpg").touch()
    judge = {"model": label, "nproc": 8, "retry": 2, "timeout": 60, "verbose": False}
    address = f"{endpoint.base}/chat/completions"
    judge |= {"api_base": address, "key": "none"}
    job = {"dataset": name, "judge": judge, "sympy": name.startswith("MathVision")}
    (folder / "job.json").write_text(json.dumps(job))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LMUData": str(folder / "lmu"),
        "LOCAL_LLM": MODEL,
        "PYTHONHASHSEED": "0",
    }
    done = subprocess.run(
        [str(peer_python()), str(_SCRIPT)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads((folder / "told.json").read_text())
    return Peer(told["scores"], told["verdicts"], told["rotations"], folder / "out")


def differing_files(ours: Path, theirs: Path) -> list[str]:
    """Names of files that one side lacks or that differ by content."""

    def read(folder: Path) -> dict[str, object]:
        found = (path for path in folder.iterdir() if path.suffix != ".pkl")
        return {path.name: content(path) for path in found}

    one, other = read(ours), read(theirs)
    return sorted(n for n in one.keys() | other.keys() if one.get(n) != other.get(n))


@dataclass(frozen=True)
class Line:
    """What a reader is told about one family."""

    rows: int
    verdicts: int
    files: int
    figures: int
    requests: int
    unequal: int

    def __str__(self) -> str:
        return (
            f"{self.rows} rows, {self.verdicts} verdicts, {self.files} files,"
            f" {self.figures} figures, {self.requests} requests; unequal: {self.unequal}"
        )


def compared(ours: Judged, theirs: Peer, endpoint: JudgeEndpoint, asker) -> Line:
    """Counts what differs between the two sides."""
    scores = dict(zip(ours.ids, ours.scores, strict=True))
    parts = {key: theirs.rotations.get(key, [key]) for key in theirs.verdicts}
    own = {key: min(scores[each] for each in ids) for key, ids in parts.items()}
    apart = [key for key, score in theirs.verdicts.items() if own[key] != score]
    figures = {(m["split"], m["name"]): m["value"] for m in ours.done["metrics"]}
    expected = figures_of(theirs.scores)
    apart += [str(key) for key, value in expected.items() if figures[key] != value]
    apart += differing_files(ours.out, theirs.out)
    asked = {json.dumps(json.loads(r.body), sort_keys=True) for r in asker.asked}
    apart += sorted(asked ^ set(endpoint.bodies))
    assert not apart, apart[:5]
    files = sum(path.suffix != ".pkl" for path in theirs.out.iterdir())
    return Line(
        rows=len(scores),
        verdicts=len(theirs.verdicts),
        files=files,
        figures=len(expected),
        requests=len(asker.asked),
        unequal=len(apart),
    )


_LABELS = ("split", "Task&Skill", "Subject", "Category", "set")
"""Columns of upstream's tables that say what a line is about."""


def figures_of(scores) -> dict[tuple[str, str], object]:
    """What upstream's evaluate() returned, by split and column; an empty cell is None."""
    found: dict[tuple[str, str], object] = {}
    for cells in scores:
        record = dict(cells)
        member = record.pop("DATASET", "")
        label = next((name for name in _LABELS if name in record), "")
        split = str(record.pop(label, "none"))
        if member:
            split = member if split == "none" else f"{member}:{split}"
        for name, value in record.items():
            found[split, name] = None if value != value else value  # noqa: PLR0124
    return found


async def both(
    folder: Path, name: str, columns, answers, endpoint, *, label: str = LABEL
):
    """The two sides, one beside the other."""
    asker = Asker(endpoint)
    theirs = asyncio.to_thread(
        score_peer, folder / "b", name, columns, answers, endpoint, label=label
    )
    ours = score(folder / "a", name, columns, answers, asker, label=label)
    return *(await asyncio.gather(ours, theirs)), asker
