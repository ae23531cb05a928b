"""Awkward predictions are judged and scored as real VLMEvalKit has it; so is what its other client asks."""

from __future__ import annotations

import pytest

from support import judged, scoring
from support.judge_endpoint import judge_endpoint
from support.judged_tables import JUDGED
from support.parity import skip_without_peer

AWKWARD = (
    *("MMStar", "POPE", "MMBench_DEV_EN", "MathVista_MINI", "MathVision"),
    *("MMVet", "LLaVABench"),
)


@pytest.mark.parametrize("name", AWKWARD)
async def test_awkward_predictions_are_judged_as_upstream_has_them_judged(
    tmp_path, name
):
    skip_without_peer()
    table = JUDGED[name]
    # Spaces keep the comparison of long cells quick.
    awkward = scoring.predictions(len(table.answers))
    answers = [text.replace("x" * 10, "xxxx xxxx ") for text in awkward]
    with judge_endpoint() as endpoint:
        ours, theirs, asker = await judged.both(
            tmp_path, name, table.columns, answers, endpoint
        )
    assert judged.compared(ours, theirs, endpoint, asker).unequal == 0


async def test_siliconflows_client_sends_what_upstreams_sends(tmp_path):
    skip_without_peer()
    table = JUDGED["MMStar"]
    with judge_endpoint() as endpoint:
        ours, theirs, asker = await judged.both(
            tmp_path, "MMStar", table.columns, table.answers, endpoint, label="deepseek"
        )
    assert judged.compared(ours, theirs, endpoint, asker).unequal == 0
