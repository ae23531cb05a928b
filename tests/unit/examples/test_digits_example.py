"""The digits example: its dataset, and the endpoint that reads what it is sent."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from support import digits_example

make_dataset = digits_example.module("make_dataset")
serve = digits_example.module("serve")
CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    return list(make_dataset.rows())


@pytest.fixture
async def client() -> AsyncIterator[TestClient]:
    server = TestServer(serve.application(digits_example.models()))
    async with TestClient(server) as client:
        yield client


def test_the_dataset_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    first, second = tmp_path / "1.tsv", tmp_path / "2.tsv"
    assert make_dataset.write(first) == make_dataset.write(second) == 360
    assert first.read_bytes() == second.read_bytes()


def test_the_dataset_is_a_tsv_with_vlmevalkits_columns(tmp_path: Path) -> None:
    make_dataset.write(tmp_path / "d.tsv")
    with (tmp_path / "d.tsv").open(newline="") as stream:
        header = next(csv.reader(stream, delimiter="\t"))
    expected = ["index", "image", "question", "A", "B", "C", "D", "answer", "category"]
    assert header == expected


def test_the_right_digit_is_always_among_four_different_options(rows: list) -> None:
    assert all(len({row[letter] for letter in "ABCD"}) == 4 for row in rows)
    assert {row["answer"] for row in rows} == set("ABCD")


def test_the_held_out_digits_are_none_of_those_it_learns_from() -> None:
    learn, held_out = digits_example.module("pictures").split()
    assert (len(learn.digits), len(held_out.digits)) == (1437, 360)


def test_the_classifier_names_97_of_100_held_out_digits() -> None:
    assert digits_example.models()["digits-svm"].accuracy >= 0.97


async def test_the_endpoint_answers_questions_with_the_letter_it_reads(
    client: TestClient, rows: list
) -> None:
    right = 0
    for row in rows[:60]:
        text, url = digits_example.question(row), digits_example.jpeg_url(row)
        reply = await client.post(CHAT, json=digits_example.request(text, url))
        answer = (await reply.json())["choices"][0]["message"]["content"]
        right += answer.startswith(row["answer"] + ".")
    assert right >= 57


async def test_the_endpoint_names_the_digit_where_no_options_are_given(
    client: TestClient, rows: list
) -> None:
    body = digits_example.request("Which digit?", digits_example.jpeg_url(rows[0]))
    reply = await (await client.post(CHAT, json=body)).json()
    row = rows[0]
    assert reply["choices"][0]["message"]["content"] == f"It is {row[row['answer']]}."


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("<html>", "no JSON"),
        ("[]", "no JSON object"),
        ("{}", "messages"),
        ('{"messages": [{"content": "hi"}]}', "no picture"),
        ('{"stream": true}', "one piece"),
        ('{"messages": [{"content": [{"type": "audio"}]}]}', "audio"),
    ],
)
async def test_a_request_it_cannot_read_is_answered_400_and_why(
    client: TestClient, body: str, said: str
) -> None:
    reply = await client.post(CHAT, data=body)
    assert (reply.status, said in await reply.text()) == (400, True)


@pytest.mark.parametrize(
    "url",
    [
        "http://host.invalid/x.png",
        "data:image/png;base64,AAAA",
        "data:image/png;base64,!",
    ],
)
async def test_a_picture_it_cannot_read_is_answered_400_and_nothing_is_fetched(
    client: TestClient, url: str
) -> None:
    reply = await client.post(CHAT, json=digits_example.request("Which digit?", url))
    assert (reply.status, "image_url" in await reply.text()) == (400, True)


async def test_the_endpoint_lists_both_its_models(client: TestClient) -> None:
    reply = await (await client.get("/v1/models")).json()
    assert [model["id"] for model in reply["data"]] == ["digits-svm", "digits-lda"]


async def test_a_model_it_does_not_serve_is_answered_404(
    client: TestClient, rows: list
) -> None:
    body = digits_example.request("Which digit?", digits_example.jpeg_url(rows[0]))
    reply = await client.post(CHAT, json={**body, "model": "digits"})
    assert (reply.status, "no model 'digits'" in await reply.text()) == (404, True)


def test_the_models_do_not_answer_all_questions_alike(rows: list) -> None:
    told = {
        name: [
            model.answer(digits_example.question(row), digits_example.picture(row))
            for row in rows
        ]
        for name, model in digits_example.models().items()
    }
    assert told["digits-svm"] != told["digits-lda"]
