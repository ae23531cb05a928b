"""Has what a sealed scoring child asks answered: judge requests by whoever `ask` reaches, equality next door.

The supervisor calls `run_asking` where a judge model decides. The child is trusted with nothing: a request
is filed under a key that is computed here, about a sample of this task, to the judge of this run.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from assay.domain.errors import ScorerError
from assay.domain.judge import JudgeAnswer, JudgeRequest, request_key
from assay.rpc.score_judging import JudgeTerms
from assay.scorer.equality import Equality
from assay.seal.launch import Line, SealedJob, SealedResult, run_sealed
from assay.seal.letters import Letters

BODY_LIMIT = 4 * 1024 * 1024
"""Characters of one request."""
QUESTIONS_PER_SAMPLE = 128
"""Far more than upstream asks: five tries a row, one a turn, three comparisons."""
SAID_LIMIT = 500
MOST_SLOTS = 256
"""Rows that may wait for a judge at a time: each is a thread of the child."""

Ask = Callable[[JudgeRequest], Awaitable[JudgeAnswer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """Who is asked, and about what.

    Attributes:
        model: the judge's name in every request.
        ask: has one request answered; raises only where scoring must end.
        samples: the ids of the task's samples, as far as they are known.
        total: how many samples the task has.
    """

    model: str
    ask: Ask
    samples: Collection[str]
    total: int


async def run_asking(
    job: SealedJob,
    on_line: Callable[[Line], None],
    document: Awaitable[bytes],
    judging: Callable[[], Judging],
    *,
    equality: Equality,
    letters: Letters | None = None,
) -> SealedResult:
    """`run_sealed` for a child that asks; `judging` is called once the child has its document.

    With `letters` of the caller's own it can tell the child more than answers.

    Raises:
        SealError: as `run_sealed`.
        AssayError: what `ask`, `on_line` or `document` raises.
    """
    letters = letters or Letters()
    try:
        async with asyncio.TaskGroup() as group:
            desk = _Desk(letters, group, equality)

            async def opened() -> bytes:
                data = await document
                desk.open(judging())
                return data

            def take(line: Line) -> None:
                if not desk.take(line):
                    on_line(line)

            result = await run_sealed(job, take, opened(), letters)
            # Nobody waits for what is still open: the child has ended.
            desk.close()
    except ExceptionGroup as several:
        raise _first(several) from None
    finally:
        await equality.close()
    return result


class _Desk:
    """Takes questions out of a child's lines and sends letters back."""

    def __init__(
        self, letters: Letters, group: asyncio.TaskGroup, equality: Equality
    ) -> None:
        self._letters = letters
        self._group = group
        self._equality = equality
        self._judging: Judging | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self, judging: Judging) -> None:
        """Questions may come from now on."""
        self._judging = judging
        self._letters.allow(QUESTIONS_PER_SAMPLE * (judging.total + 1))

    def take(self, line: Mapping[str, Any]) -> bool:
        """Whether the line is a question; then its answer is under way.

        Raises:
            ScorerError: it makes no sense.
            SealError: there are too many.
        """
        if "ask" in line:
            work = self._judge(self._request(line["ask"]))
        elif "equal" in line:
            work = self._compare(line["equal"])
        else:
            return False
        self._letters.asked()
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    def close(self) -> None:
        """Gives up what is open."""
        for task in self._tasks:
            task.cancel()

    def _request(self, told: Any) -> JudgeRequest:
        judging = self._judging
        try:
            body, sample, occurrence = told["body"], told["sample"], told["occurrence"]
            text = canonical(body)
            sound = (
                judging is not None
                and body["model"] == judging.model
                and sample in judging.samples
                and type(occurrence) is int
                and len(text) <= BODY_LIMIT
            )
        except (KeyError, TypeError, ValueError):
            sound = False
        if not sound:
            raise ScorerError("the scoring child asks the judge something odd")
        key = request_key(body, sample, occurrence)
        return JudgeRequest(key=key, body=text, sample_id=sample)

    async def _judge(self, request: JudgeRequest) -> None:
        assert self._judging is not None
        answer = await self._judging.ask(request)
        self._letters.answer(letter(answer))

    async def _compare(self, told: Any) -> None:
        if not (
            isinstance(told, list)
            and len(told) == 2  # noqa: PLR2004 - a pair
            and all(isinstance(each, str) for each in told)
        ):
            raise ScorerError("the scoring child compares something odd")
        verdict = await self._equality.compare(told[0], told[1])
        self._letters.answer({"pair": told, **verdict})


def terms_for_child(terms: JudgeTerms) -> dict[str, object]:
    """What a child's document says of the judge."""
    return {
        "model": terms.model,
        "slots": max(1, min(terms.slots, MOST_SLOTS)),
        "settings": json.loads(terms.settings or "{}"),
    }


def canonical(body: Mapping[str, Any]) -> str:
    """A request's body as text."""
    return json.dumps(body, sort_keys=True, ensure_ascii=False)


def letter(answer: JudgeAnswer) -> dict[str, object]:
    """An answer as the child reads it."""
    if answer.failure is None:
        return {"key": answer.key, "text": answer.text}
    return {"key": answer.key, "failure": answer.failure.message[:SAID_LIMIT]}


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
