"""With a judge whose replies parse, verdicts, tables and requests are real VLMEvalKit's, family by family."""

from __future__ import annotations

import sys

import pytest

from support import judged
from support.judge_endpoint import judge_endpoint
from support.judged_tables import JUDGED
from support.parity import skip_without_peer


@pytest.mark.parametrize("name", JUDGED)
async def test_verdicts_tables_and_requests_are_upstreams(tmp_path, name, capsys):
    skip_without_peer()
    table = JUDGED[name]
    with judge_endpoint() as endpoint:
        ours, theirs, asker = await judged.both(
            tmp_path, name, table.columns, table.answers, endpoint
        )
    line = judged.compared(ours, theirs, endpoint, asker)
    with capsys.disabled():
        sys.stdout.write(f"{name} ({table.what}): {line}\n")
    assert line.unequal == 0
    assert line.requests > 0
