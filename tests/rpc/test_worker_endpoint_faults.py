"""What an endpoint may do wrong, and whose failure it becomes."""

import json

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from assay.domain.sample import UnscoredReason
from assay.worker.engines.openai import OpenAIEngine
from support.chat_endpoint import (
    CANARY,
    ChatEndpoint,
    Reply,
    chat_endpoint,
    echo,
    huge,
    replying,
    reset,
    saying,
    slow_loris,
    text_of,
)
from support.work_fake import TASK, Work
from support.worker_setup import Stage, model_at, worker

BAD = "question 3"


def only(question: str, reply: Reply) -> Reply:
    """One sample meets `reply`, everybody else an echo."""

    async def answer(request: web.Request, body: dict[str, object]) -> object:
        chosen = reply if text_of(body) == question else echo
        return await chosen(request, body)

    return answer


async def all_done(
    work: Work, endpoint: ChatEndpoint, **settings: object
) -> dict[int, object]:
    async with worker(work, endpoint, **settings) as stage:
        await stage.ended()
    return {ordinal: done for (_, ordinal), done in work.committed.items()}


def condition_of(stage: Stage) -> str:
    return stage.work.extends[-1].endpoint.reason if stage.work.extends else ""


PER_SAMPLE = {
    "400": (replying(400, '{"error": {"message": "too long"}}'), "REQUEST_REJECTED", 1),
    "413": (replying(413, "too large"), "REQUEST_REJECTED", 1),
    "422": (replying(422, '{"detail": "no"}'), "REQUEST_REJECTED", 1),
    "huge body": (huge, "BAD_RESPONSE", 1),
    "500": (replying(500, "oops"), "SERVER_ERROR", 3),
    "reset": (reset, "SERVER_ERROR", 3),
    "429": (replying(429, "slow", {"Retry-After": "0.01"}), "RATE_LIMITED", 3),
    "HTML": (replying(200, "<html>welcome</html>"), "BAD_RESPONSE", 3),
    "no choices": (replying(200, '{"error": "x"}'), "BAD_RESPONSE", 3),
    "empty": (saying("  \n"), "EMPTY_ANSWER", 3),
    "null": (saying(None), "EMPTY_ANSWER", 3),
    "failure text": (saying("Failed to obtain answer via API. "), "BAD_RESPONSE", 3),
    "slow loris": (slow_loris, "TIMEOUT", 3),
}


@pytest.mark.parametrize("case", PER_SAMPLE)
async def test_one_samples_failure_is_its_own(case: str) -> None:
    """It is asked as often as can help, gets its reason, and the others their answers."""
    reply, reason, attempts = PER_SAMPLE[case]
    timeout = 0.3 if case == "slow loris" else 20.0
    async with chat_endpoint(only(BAD, reply)) as endpoint:
        done = await all_done(Work.of(8), endpoint, timeout=timeout)
    failed = done.pop(3)
    assert failed.failure.reason is UnscoredReason[reason]
    assert failed.failure.message
    assert (failed.attempts, endpoint.asked[BAD]) == (attempts, attempts)
    assert all(completion.text for completion in done.values())
    assert len(done) == 7


async def test_a_sample_that_ends_unscored_is_one_line_of_the_log() -> None:
    reply = replying(500, json.dumps({"error": "x" * 600}))
    with capture_logs() as lines:
        async with chat_endpoint(only(BAD, reply)) as endpoint:
            await all_done(Work.of(8), endpoint)
    (line,) = [each for each in lines if each["event"] == "a sample ends unscored"]
    assert (line["sample_id"], line["reason"]) == ("3", "server_error")
    assert "xxx" in line["message"]
    assert len(line["message"]) == 300


@pytest.mark.parametrize("case", PER_SAMPLE)
async def test_a_failure_that_meets_everybody_is_the_endpoints(case: str) -> None:
    """No sample becomes unscored; the condition quotes what the endpoint said."""
    timeout = 0.2 if case == "slow loris" else 20.0
    work = Work.of(12)
    async with (
        chat_endpoint(PER_SAMPLE[case][0]) as endpoint,
        worker(work, endpoint, timeout=timeout) as stage,
    ):
        await work.until(lambda: condition_of(stage) == "first_wave_failed")
        said = work.extends[-1].endpoint
        assert endpoint.url in said.message
        assert work.committed == {}
        endpoint.reply = echo
        await stage.ended()
    assert {c.text for c in work.committed.values()} == {
        f"answer to question {n}" for n in range(12)
    }


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "unauthorized"),
        (402, "payment_required"),
        (403, "forbidden"),
        (404, "not_found"),
        (307, "redirected"),
    ],
)
async def test_statuses_about_the_whole_endpoint_leave_samples_pending(
    status: int, reason: str
) -> None:
    work = Work.of(12)
    reply = replying(status, "no entry", {"Location": "http://127.0.0.1:1/"})
    async with chat_endpoint(reply) as endpoint, worker(work, endpoint) as stage:
        await work.until(lambda: condition_of(stage) == reason)
        assert not work.extends[-1].endpoint.usable
        assert work.committed == {}
        endpoint.reply = echo
        await stage.ended()
    assert all(completion.text for completion in work.committed.values())


async def test_a_key_the_endpoint_quotes_is_cut_out() -> None:
    work = Work.of(2)
    reply = replying(401, "Incorrect API key provided: sk-very-secret-key")
    async with (
        chat_endpoint(reply) as endpoint,
        worker(work, endpoint, key="sk-very-secret-key") as stage,
    ):
        await work.until(lambda: condition_of(stage) == "unauthorized")
    said = work.extends[-1].endpoint.message
    assert "Incorrect API key" in said
    assert "sk-very" not in said


async def test_a_refused_connection_is_noticed_before_anything_is_asked() -> None:
    work = Work.of(5)
    endpoint = ChatEndpoint()
    await endpoint.start()
    await endpoint.stop()
    async with worker(work, endpoint) as stage:
        await work.until(lambda: condition_of(stage) == "connection_refused")
        await endpoint.start()
        await stage.ended()
    await endpoint.stop()
    assert set(endpoint.asked.values()) == {1}
    assert len(work.committed) == 5


async def test_an_unknown_host_is_named() -> None:
    work = Work.of(5)
    async with worker(work, "http://nowhere.invalid/v1/chat/completions") as stage:
        await work.until(lambda: condition_of(stage) == "dns")
        assert "nowhere.invalid" in work.extends[-1].endpoint.message


async def test_an_endpoint_without_tls_behind_https_is_named() -> None:
    work = Work.of(5)
    async with chat_endpoint() as endpoint:
        url = endpoint.url.replace("http:", "https:")
        async with worker(work, url) as stage:
            await work.until(lambda: condition_of(stage) == "tls")


async def test_an_endpoint_that_dies_midway_fails_no_sample() -> None:
    work = Work.of(60)
    async with chat_endpoint() as endpoint, worker(work, endpoint) as stage:
        endpoint.delay = 0.01
        await work.until(lambda: len(work.committed) > 10)
        await endpoint.stop()
        await work.until(lambda: condition_of(stage) == "connection_refused")
        await endpoint.start()
        await stage.ended()
    assert all(completion.text for completion in work.committed.values())
    assert len(work.committed) == 60


async def test_an_endpoint_that_breaks_midway_fails_no_sample() -> None:
    """It answers 500 to everybody from some moment on, for longer than attempts last."""
    work = Work.of(60)
    async with chat_endpoint() as endpoint, worker(work, endpoint, retry=2) as stage:
        endpoint.delay = 0.005
        await work.until(lambda: len(work.committed) > 10)
        endpoint.reply = replying(500, "broken")
        await work.until(lambda: condition_of(stage) == "every_request_fails")
        endpoint.reply = echo
        await stage.ended()
    assert all(completion.text for completion in work.committed.values())


async def test_bad_samples_alone_at_the_end_are_told_from_a_bad_endpoint() -> None:
    async def picky(request: web.Request, body: dict[str, object]) -> object:
        good = text_of(body) == CANARY
        return await (echo if good else replying(400, "too long"))(request, body)

    work = Work.of(2)
    async with chat_endpoint(picky) as endpoint:
        done = await all_done(work, endpoint)
    assert {c.failure.reason for c in done.values()} == {
        UnscoredReason.REQUEST_REJECTED
    }
    assert endpoint.asked[CANARY] == 1


async def test_one_forbidden_sample_among_answered_ones_is_rejected() -> None:
    async with chat_endpoint(only(BAD, replying(403, "not that one"))) as endpoint:
        done = await all_done(Work.of(40), endpoint)
    assert done.pop(3).failure.reason is UnscoredReason.REQUEST_REJECTED
    assert all(completion.text for completion in done.values())


async def test_a_closed_queue_ends_the_worker_of_a_dead_endpoint() -> None:
    work = Work.of(5)
    async with worker(work, "http://127.0.0.1:9/v1/chat/completions") as stage:
        await work.until(lambda: condition_of(stage) == "connection_refused")
        work.state = "CLOSED"
        await stage.ended()
    assert work.leased == {}


async def test_a_retried_sample_gives_its_slot_to_others_meanwhile() -> None:
    first = True

    async def busy_once(request: web.Request, body: dict[str, object]) -> object:
        nonlocal first
        if first and text_of(body) == BAD:
            first = False
            return await replying(429, "", {"Retry-After": "0.5"})(request, body)
        return await echo(request, body)

    work = Work.of(20, limit=1)
    async with chat_endpoint(busy_once) as endpoint, worker(work, endpoint) as stage:
        await stage.ended()
    assert list(work.committed)[-1] == (TASK, 3)
    assert work.committed[TASK, 3].attempts == 2


async def test_a_time_out_names_the_keys_that_help():
    async with chat_endpoint(slow_loris) as endpoint:
        engine = OpenAIEngine(model_at(endpoint.url, timeout=0.1), "EMPTY")
        await engine.open()
        attempt = await engine.ask(engine.canary(with_picture=False))
        await engine.close()
    assert "raise `timeout`, or lower `nproc`" in attempt.outcome.message
