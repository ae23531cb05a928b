"""Judge requests and answers of ScoreService: their messages, and the scorer's wait for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from assay.domain.completion import Failure
from assay.domain.errors import AssayError, UnavailableError
from assay.domain.judge import JudgeAnswer, JudgeRequest
from assay.rpc.convert import reason_from_proto, reason_to_proto
from assay.v1 import score_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeTerms:
    """That a judge model decides where rules cannot.

    Attributes:
        model: its name in requests.
        slots: requests that may be in flight.
        settings: more of upstream's judge client's settings, as a JSON object; empty: none.
        early: predictions come while inference runs, so the judge may be asked about each at once.
    """

    model: str
    slots: int
    settings: str = ""
    early: bool = False


def terms_to_proto(terms: JudgeTerms) -> score_pb2.Judging:
    """As a task's head has it."""
    return score_pb2.Judging(
        model=terms.model,
        slots=terms.slots,
        settings=terms.settings,
        early=terms.early,
    )


def terms_from_proto(message: score_pb2.Judging) -> JudgeTerms:
    """As a scorer reads it."""
    return JudgeTerms(
        model=message.model,
        slots=message.slots,
        settings=message.settings,
        early=message.early,
    )


def request_to_proto(request: JudgeRequest) -> score_pb2.JudgeRequest:
    """As a scorer sends it."""
    return score_pb2.JudgeRequest(
        key=request.key, body=request.body, sample_id=request.sample_id
    )


def request_from_proto(message: score_pb2.JudgeRequest) -> JudgeRequest:
    """As the serving side reads it."""
    return JudgeRequest(key=message.key, body=message.body, sample_id=message.sample_id)


def answer_to_proto(answer: JudgeAnswer) -> score_pb2.JudgeAnswer:
    """As the serving side sends it."""
    if answer.failure is None:
        return score_pb2.JudgeAnswer(key=answer.key, text=answer.text or "")
    failure = score_pb2.JudgeFailure(
        reason=reason_to_proto(answer.failure.reason), message=answer.failure.message
    )
    return score_pb2.JudgeAnswer(key=answer.key, failure=failure)


def answer_from_proto(message: score_pb2.JudgeAnswer) -> JudgeAnswer:
    """As a scorer reads it.

    Raises:
        KeyError: a reason this version does not know.
    """
    if message.WhichOneof("outcome") != "failure":
        return JudgeAnswer(key=message.key, text=message.text)
    failure = Failure(
        reason=reason_from_proto(message.failure.reason),
        message=message.failure.message,
    )
    return JudgeAnswer(key=message.key, failure=failure)


class AnswerDesk:
    """Hands the answers of one stream to those who wait for them.

    While the task's input comes, whoever reads that delivers; after it the desk reads for itself.
    """

    def __init__(self, read: Callable[[], Awaitable[score_pb2.ScoreResponse]]) -> None:
        """Nothing is read before `open`.

        Args:
            read: the stream's next message.
        """
        self._read = read
        self._open = False
        self._waiting: dict[str, asyncio.Future[JudgeAnswer]] = {}
        self._reader: asyncio.Task[score_pb2.ScoreResponse] | None = None

    def open(self) -> None:
        """The input has ended: from now on the stream is the desk's."""
        self._open = True
        if self._waiting:
            self._start()

    def expect(self, key: str) -> asyncio.Future[JudgeAnswer]:
        """The answer to come; call it before the request is sent."""
        future = self._waiting.get(key)
        if future is None:
            future = asyncio.get_running_loop().create_future()
            self._waiting[key] = future
        if self._open:
            self._start()
        return future

    def deliver(self, message: score_pb2.JudgeAnswer) -> None:
        """Takes an answer in."""
        answer = answer_from_proto(message)
        future = self._waiting.pop(answer.key, None)
        if future is not None and not future.done():
            future.set_result(answer)

    def fail(self, error: AssayError) -> None:
        """No answer will come any more."""
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(error)
                # Whoever has stopped waiting need not be told.
                future.exception()

    async def next(self) -> score_pb2.ScoreResponse:
        """The stream's next message that is no answer.

        Raises:
            AssayError: as `read`.
        """
        if self._reader is None:
            return await self._read()
        return await asyncio.shield(self._reader)

    async def close(self) -> None:
        """Waits for the reader to notice that the stream has ended."""
        self.fail(UnavailableError("the aggregator's stream has ended"))
        if self._reader is not None:
            await asyncio.wait({self._reader})
            if not self._reader.cancelled():
                self._reader.exception()

    def _start(self) -> None:
        if self._reader is None:
            self._reader = asyncio.create_task(self._listen())

    async def _listen(self) -> score_pb2.ScoreResponse:
        lost: AssayError = UnavailableError(
            "the aggregator ended the task with judge requests open"
        )
        try:
            while True:
                message = await self._read()
                if message.WhichOneof("step") != "judge_answer":
                    return message
                self.deliver(message.judge_answer)
        except AssayError as error:
            lost = error
            raise
        finally:
            self.fail(lost)
