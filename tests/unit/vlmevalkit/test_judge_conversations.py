"""MMDU: conversations of any length, and what takes part in their scores."""

from __future__ import annotations

import json

import pytest

from support import judged
from support.judge_endpoint import judge_endpoint, sensible
from support.judged_tables import mmdu


async def score(folder, answers, reply=sensible):
    with judge_endpoint() as endpoint:
        endpoint.reply = reply
        asker = judged.Asker(endpoint)
        found = await judged.score(folder, "MMDU", mmdu(len(answers)), answers, asker)
    return found, asker


async def test_a_conversation_longer_than_a_cell_is_scored_whole(tmp_path):
    long = json.dumps(["x" * 40_000, "It's the end."])
    found, asker = await score(tmp_path / "a", [long, '["yes", "no"]'])
    assert found.reasons == [None, None]
    assert any("x" * 40_000 in request.body for request in asker.asked)
    assert any("It's the end." in request.body for request in asker.asked)
    names = sorted(path.name for path in found.out.iterdir())
    assert names == ["m_MMDU.tsv", "m_MMDU_gpt-4o-mini_score.csv"]


async def test_the_overall_score_is_the_mean_of_the_turns(tmp_path):
    found, _ = await score(tmp_path / "a", ['["yes", "no"]', '["no", "yes"]'])
    metrics = {(m["split"], m["name"]): m["value"] for m in found.done["metrics"]}
    mean = 100 * sum(found.scores) / 2
    assert metrics["all", "Overall Score"] == pytest.approx(mean)
    assert metrics["valid", "Overall Score"] == pytest.approx(mean)


async def test_a_reply_without_every_score_leaves_its_conversation_unscored(tmp_path):
    def partly(body):
        whole = sensible(body)
        said = body["messages"][-1]["content"].split("Answer]")[-2]
        return "{'Creativity': 9}" if "odd" in said else whole

    found, _ = await score(tmp_path / "a", ['["odd", "no"]', '["no", "yes"]'], partly)
    assert found.reasons == ["judge_unparseable", None]
    assert all(m["n"] == 1 for m in found.done["metrics"])
