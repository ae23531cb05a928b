"""What the judge is sent, what counts as the same request, and what the passes make of the answers."""

from __future__ import annotations

import json

from support import judged, scoring
from support.judge_endpoint import judge_endpoint
from support.judged_tables import JUDGED, llava, mm_vet


async def asked(folder, name, columns, answers, **options):
    """The result and the bodies that were sent."""
    with judge_endpoint() as endpoint:
        asker = judged.Asker(endpoint)
        found = await judged.score(folder, name, columns, answers, asker, **options)
    return found, [json.loads(request.body) for request in asker.asked]


async def test_settings_go_where_upstreams_client_puts_them(tmp_path):
    table = JUDGED["MMStar"]
    settings = {"top_p": 0.5, "temperature": 0.25}
    _, bodies = await asked(
        tmp_path / "a", "MMStar", table.columns, table.answers, settings=settings
    )
    assert {(body["top_p"], body["temperature"]) for body in bodies} == {(0.5, 0.25)}


async def test_siliconflows_names_are_asked_in_its_own_form(tmp_path):
    table = JUDGED["MMStar"]
    _, bodies = await asked(
        tmp_path / "a", "MMStar", table.columns, table.answers, label="deepseek"
    )
    assert all(type(body["messages"][0]["content"]) is list for body in bodies)
    assert {body["model"] for body in bodies} == {judged.MODEL}


async def test_at_temperature_0_equal_requests_of_several_samples_are_one(tmp_path):
    columns = scoring.multiple_choice(6)
    for name, cells in columns.items():
        if name not in {"index", "answer"}:
            columns[name] = [cells[0]] * 6
    found, bodies = await asked(
        tmp_path / "a", "MMStar", columns, ["I would say the first"] * 6
    )
    assert len(bodies) == 1
    assert {requests[0][0] for requests in found.heard.values()} == {
        found.heard[0][0][0]
    }


async def test_at_another_temperature_every_sample_has_an_answer_of_its_own(tmp_path):
    columns = llava(3) | {"question": ["Describe it."] * 3, "category": ["conv"] * 3}
    columns |= {"caption": ["A street."] * 3, "gpt4_ans": ["Cars."] * 3}
    found, bodies = await asked(tmp_path / "a", "LLaVABench", columns, ["Cars"] * 3)
    assert [body["temperature"] for body in bodies] == [0.2] * 3
    assert len({requests[0][0] for requests in found.heard.values()}) == 3


async def test_a_request_that_leaving_rows_out_changes_withholds_the_figures(tmp_path):
    answers = [("timeout",), *["007"] * 19]
    found, bodies = await asked(tmp_path / "a", "MMVet", mm_vet(20), answers)
    assert found.reasons == ["timeout", *[None] * 19]
    assert "changes how upstream reads 19 others" in found.done["withheld"]
    assert found.done["metrics"] == []
    assert all("| 007 |" in body["messages"][0]["content"] for body in bodies)
