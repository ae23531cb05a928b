"""Pictures on their way from a pack into requests."""

import hashlib
from pathlib import Path

import pytest

from assay.domain.errors import StoreUnavailableError
from assay.domain.prompt import PicturePart, Prompt, TextPart, Turn
from assay.domain.sample import UnscoredReason
from support.chat_endpoint import chat_endpoint, pictures_of, text_of
from support.work_fake import TASK, Work, question
from support.worker_setup import worker

SIZES = (1, 11_000, 200_000, 1_500_000)
PICTURES = [bytes([number]) * size for number, size in enumerate(SIZES)]


def work_with(url: str) -> Work:
    """One sample per picture, its bytes one after the other in the pack."""
    samples, offset = {}, 0
    for number, data in enumerate(PICTURES):
        part = PicturePart(
            digest=hashlib.sha256(data).hexdigest(),
            key="",
            offset=offset,
            length=len(data),
            url=url,
        )
        samples[TASK, number] = Prompt((Turn((part, TextPart(f"{number}?"))),))
        offset += len(data)
    return Work(samples)


async def test_pictures_arrive_byte_for_byte(tmp_path: Path) -> None:
    pack = tmp_path / "0.pack"
    pack.write_bytes(b"".join(PICTURES))
    work = work_with(pack.as_uri())
    async with chat_endpoint() as endpoint, worker(work, endpoint) as stage:
        await stage.ended()
    sent = {text_of(body): pictures_of(body) for body in endpoint.bodies}
    assert sent == {f"{number}?": [data] for number, data in enumerate(PICTURES)}


async def test_a_picture_that_changed_is_not_sent_and_says_so(tmp_path: Path) -> None:
    pack = tmp_path / "0.pack"
    pack.write_bytes(b"".join([*PICTURES[:3], b"x" * SIZES[3]]))
    work = work_with(pack.as_uri())
    async with chat_endpoint() as endpoint, worker(work, endpoint) as stage:
        await stage.ended()
    failed = work.committed.pop((TASK, 3))
    assert failed.failure is not None
    assert failed.failure.reason is UnscoredReason.PICTURE_INVALID
    assert failed.attempts == 0
    assert all(completion.text for completion in work.committed.values())


async def test_packs_that_cannot_be_read_end_the_worker_and_no_sample(
    tmp_path: Path,
) -> None:
    work = work_with((tmp_path / "none.pack").as_uri())
    async with chat_endpoint() as endpoint, worker(work, endpoint) as stage:
        with pytest.raises(StoreUnavailableError, match=r"none\.pack"):
            await stage.ended()
    assert work.committed == {}


async def test_a_conversation_goes_on_from_the_models_own_answers() -> None:
    work = Work({(TASK, 0): Prompt(question(0).turns * 2)})
    async with chat_endpoint() as endpoint, worker(work, endpoint) as stage:
        await stage.ended()
    roles = [[each["role"] for each in body["messages"]] for body in endpoint.bodies]
    assert roles == [["user"], ["user", "assistant", "user"]]
