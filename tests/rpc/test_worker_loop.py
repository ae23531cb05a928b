"""The lease loop against a real WorkService and a real endpoint, through what may befall either."""

from support.chat_endpoint import chat_endpoint
from support.work_fake import TASK, Work
from support.worker_setup import worker


async def test_every_sample_is_asked_once_and_its_answer_committed_once() -> None:
    work = Work.of(100)
    async with chat_endpoint() as endpoint, worker(work, endpoint) as stage:
        await stage.ended()
    assert {c.text for c in work.committed.values()} == {
        f"answer to question {n}" for n in range(100)
    }
    assert set(endpoint.asked.values()) == {1}
    assert set(work.commits.values()) == {1}


async def test_no_more_than_the_granted_number_of_requests_is_in_flight() -> None:
    work = Work.of(40, limit=3)
    async with chat_endpoint() as endpoint, worker(work, endpoint) as stage:
        endpoint.delay = 0.01
        await stage.ended()
    assert endpoint.most_in_flight == 3
    assert len(endpoint.connections) == 3


async def test_completions_say_what_the_endpoint_counted() -> None:
    work = Work.of(1)
    async with chat_endpoint() as endpoint, worker(work, endpoint) as stage:
        await stage.ended()
    done = work.committed[TASK, 0]
    assert (done.finish_reason, done.prompt_tokens, done.completion_tokens) == (
        "stop",
        7,
        1,
    )
    assert done.attempts == 1
    assert done.latency > 0
