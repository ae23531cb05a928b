"""A judge that fails: no sample gets a verdict it should not have, and the mended run is the clean one."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter

import pytest

from support import judged
from support.judge_endpoint import judge_endpoint, sensible
from support.judged_tables import JUDGED

FAMILIES = (
    *("MMStar", "MMBench_DEV_EN", "POPE"),
    *("MathVista_MINI", "MathVision_MINI", "MMVet", "LLaVABench", "MMDU"),
)
SCORED_ALL_THE_SAME = ("MathVista_MINI", "MathVision_MINI")
"""Any reply is an extraction there, and one that is no answer is wrong: upstream's value."""


def some(body) -> str | int:
    """Three of ten fail."""
    text = body["messages"][-1]["content"]
    dead = hashlib.sha256(text.encode()).digest()[0] % 10 < 3
    return 500 if dead else sensible(body)


async def run(folder, name, asker):
    table = JUDGED[name]
    return await judged.score(folder, name, table.columns, table.answers, asker)


@pytest.fixture(scope="module", params=FAMILIES)
def family(request, tmp_path_factory):
    """Its name, its clean run, and the judge that gave it."""
    folder = tmp_path_factory.mktemp(request.param)
    with judge_endpoint() as endpoint:
        clean = asyncio.run(
            run(folder / "clean", request.param, judged.Asker(endpoint))
        )
        yield request.param, clean, endpoint


def right_or_none(found, clean) -> bool:
    """Whether every sample has the clean run's verdict, or none."""
    pairs = zip(found.rows, clean.rows, strict=True)
    return all(one[0] or one[1:3] == other[1:3] for one, other in pairs)


async def test_what_failed_is_unscored_and_asked_again_gives_the_clean_run(
    tmp_path, family
):
    name, clean, endpoint = family
    endpoint.reply = some
    asker = judged.Asker(endpoint)
    faulty = await run(tmp_path / "faulty", name, asker)
    assert right_or_none(faulty, clean)
    assert "judge_failed" in faulty.reasons
    assert set(faulty.reasons) <= {None, "judge_failed", "group_incomplete"}
    endpoint.reply = sensible
    asker.answers = {k: a for k, a in asker.answers.items() if a.failure is None}
    mended = await run(tmp_path / "mended", name, asker)
    assert (mended.rows, mended.heard) == (clean.rows, clean.heard)
    assert mended.done == clean.done
    assert judged.differing_files(mended.out, clean.out) == []


async def test_replies_that_cannot_be_read_give_no_verdict(tmp_path, family):
    name, clean, endpoint = family
    endpoint.reply = lambda _body: "banana {banana} banana"
    found = await run(tmp_path / "a", name, judged.Asker(endpoint))
    if name in SCORED_ALL_THE_SAME:
        assert set(found.reasons) == {None}
        return
    assert right_or_none(found, clean)
    assert "judge_unparseable" in found.reasons
    assert set(found.reasons) <= {None, "judge_unparseable", "group_incomplete"}


@pytest.mark.parametrize("reply", [500, " "])
@pytest.mark.parametrize("name", ["MMStar", "MathVista_MINI"])
async def test_a_judge_that_is_dead_or_says_nothing_decides_nothing(
    tmp_path, name, reply
):
    with judge_endpoint() as endpoint:
        endpoint.reply = lambda _body: reply
        asker = judged.Asker(endpoint)
        found = await run(tmp_path / "a", name, asker)
    assert set(found.reasons) <= {None, "judge_failed"}
    asked = {request.sample_id for request in asker.asked}
    lost = {
        i for i, why in zip(found.ids, found.reasons, strict=True) if why is not None
    }
    assert lost >= asked


async def test_rows_without_an_answer_are_never_judged(tmp_path):
    table = JUDGED["MMVet"]
    answers = [("timeout",) if i % 4 == 0 else a for i, a in enumerate(table.answers)]
    with judge_endpoint() as endpoint:
        asker = judged.Asker(endpoint)
        found = await judged.score(
            tmp_path / "a", "MMVet", table.columns, answers, asker
        )
    assert Counter(found.reasons) == {"timeout": 5, None: 15}
    assert not any("Failed to obtain answer" in r.body for r in asker.asked)
    assert {m["upstream"] for m in found.done["metrics"]} == {None}


async def test_a_lost_rotation_takes_its_question_and_no_judge_is_asked_about_it(
    tmp_path,
):
    table = JUDGED["MMBench_DEV_EN"]
    answers = [("timeout",), *table.answers[1:]]
    with judge_endpoint() as endpoint:
        asker = judged.Asker(endpoint)
        found = await judged.score(
            tmp_path / "a", "MMBench_DEV_EN", table.columns, answers, asker
        )
    assert [found.reasons[row] for row in (0, 10, 20, 30)] == [
        *("timeout", "group_incomplete", "group_incomplete", "group_incomplete")
    ]
    asked = {int(request.sample_id) % 1_000_000 for request in asker.asked}
    assert 0 not in asked


async def test_a_judge_that_says_unknown_has_decided(tmp_path):
    with judge_endpoint() as endpoint:
        endpoint.reply = lambda _body: "Unknown."
        found = await run(tmp_path / "a", "POPE", judged.Asker(endpoint))
    assert set(found.reasons) == {None}
    assert found.done["exhausted"] == 8
