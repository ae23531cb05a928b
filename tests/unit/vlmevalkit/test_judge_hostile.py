"""Answers and judge replies that upstream runs as Python: each probe is made, and each is blocked.

A probe's value tells: upstream finds the row right where the act was done, and wrong where it was not.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from support import judged
from support.judge_endpoint import judge_endpoint
from support.judged_tables import math_vision, mmdu

PROBES = {
    "write in the own folder": "open('note','w').write('x')",
    "reach the network": "import socket; socket.create_connection(('127.0.0.1',{port}),2)",
    "look up a name": "import socket; socket.getaddrinfo('localhost',80); socket.socket()",
    "read a secret file": "open('{secret}').read()",
    "read the parent's environment": "open('/proc/{parent}/environ').read()",
    "find a token in the environment": "import os; os.environ['assay_token']",
    "write outside": "open('{outside}/planted','w')",
    "remove a file outside": "import os; os.remove('{secret}')",
    "run a program": "import os; assert os.system('true') == 0",
    "fork": "import os; os.fork()",
    "end the launcher": "import os; os.kill({parent}, 9)",
}
ALLOWED = ["write in the own folder"]


def probe(act: str, done: int, blocked: int) -> str:
    """An expression whose value says whether `act` was done; all in small letters, as upstream makes it."""
    code = f"try:\n {act}\n d['r']={done}\nexcept:\n d['r']={blocked}"
    return f"(lambda d: (exec({code!r}, dict(d=d)), d['r'])[1])(dict())"


@pytest.fixture
def facts(tmp_path, monkeypatch):
    secret = tmp_path / "secret"
    secret.write_text("sk-secret")
    monkeypatch.setenv("assay_token", "t")
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield {
            "port": server.getsockname()[1],
            "secret": secret,
            "outside": tmp_path,
            "parent": os.getpid(),
        }
    assert secret.read_text() == "sk-secret"
    assert not Path(tmp_path, "planted").exists()


def tell(capsys, where, scores, done):
    """One line a probe, for whoever reads the output of the tests."""
    found = [name for name, score in zip(PROBES, scores, strict=True) if score == done]
    with capsys.disabled():
        for name in PROBES:
            word = "done" if name in found else "blocked"
            sys.stdout.write(f"{where}: {name}: {word}\n")
    return found


async def test_an_answer_of_mathvision_does_nothing_outside(tmp_path, facts, capsys):
    columns = math_vision(len(PROBES))
    columns |= {"answer": ["1"] * len(PROBES), "choices": ["[]"] * len(PROBES)}
    acts = [act.format(**facts) for act in PROBES.values()]
    answers = [probe(act, 1, 0) for act in acts]
    with judge_endpoint() as endpoint:
        endpoint.reply = lambda _body: "0"
        asker = judged.Asker(endpoint)
        found = await judged.score(
            tmp_path / "a", "MathVision", columns, answers, asker
        )
    assert tell(capsys, "a MathVision answer", found.scores, 1.0) == ALLOWED


DIMENSIONS = (
    *("Creativity", "Richness", "Visual Perception", "Logical Coherence"),
    *("Answer Accuracy", "Image Relationship Understanding", "Overall Score"),
)


def scores_by(acts):
    """A judge whose scores for conversation n are what came of act n."""

    def reply(body):
        number = int(body["messages"][-1]["content"].split("What, ")[-1].split("?")[0])
        score = probe(acts[number], 10, 1)
        return "{" + ", ".join(f"'{name}': {score}" for name in DIMENSIONS) + "}"

    return reply


async def test_a_judges_reply_to_mmdu_does_nothing_outside(tmp_path, facts, capsys):
    acts = [act.format(**facts) for act in PROBES.values()]
    columns = mmdu(len(acts)) | {
        "question": [f"['What, {i}?']" for i in range(len(acts))],
        "answer": ["['x']"] * len(acts),
    }
    answers = ['["yes"]'] * len(acts)
    with judge_endpoint() as endpoint:
        endpoint.reply = scores_by(acts)
        asker = judged.Asker(endpoint)
        found = await judged.score(tmp_path / "a", "MMDU", columns, answers, asker)
    assert tell(capsys, "a judge's reply to MMDU", found.scores, 1.0) == ALLOWED


async def test_a_comparison_without_end_is_one_rows_trouble(tmp_path):
    columns = math_vision(4)
    columns |= {"answer": ["12"] * 4, "choices": ["[]"] * 4}
    answers = ["12.0", "9**9**9", "exit()", "6+6"]
    with judge_endpoint() as endpoint:
        asker = judged.Asker(endpoint)
        found = await judged.score(
            tmp_path / "a", "MathVision", columns, answers, asker, patience=3
        )
    assert found.reasons == [None, "scorer_timeout", "scorer_error", None]
    assert [found.scores[row] for row in (0, 3)] == [1.0, 1.0]
