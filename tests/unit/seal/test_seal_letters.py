"""A sealed child that asks while it works: lines up, letters down, and whose time it is."""

from __future__ import annotations

import asyncio

import pytest

from assay.domain.errors import SealError
from assay.seal.launch import SealedJob, run_sealed
from assay.seal.letters import Letters

CODE = """
import json, sys
from assay.seal.child import read_lines, seal
outlet = seal()
lines = read_lines()
count = json.loads(next(lines))
for number in range(count):
    outlet.send({"ask": number})
    letter = next(line for line in lines if line)
    outlet.send({"got": json.loads(letter)["answer"]})
"""


async def converse(folder, count, *, most=10, wait=0.0, limit=60.0):
    """What the child got, asked `count` questions, each answered after `wait` seconds."""
    (folder / "asking.py").write_text(CODE)
    letters, told = Letters(), []
    letters.allow(most)

    async def answer(number):
        await asyncio.sleep(wait)
        letters.answer({"answer": number * 10})

    async with asyncio.TaskGroup() as group:

        def line(told_line):
            if "ask" in told_line:
                letters.asked()
                group.create_task(answer(told_line["ask"]))
            else:
                told.append(told_line["got"])

        job = SealedJob(
            module="asking",
            workdir=folder,
            stdin=str(count).encode(),
            environment={"PYTHONPATH": str(folder)},
            time_limit_seconds=limit,
        )
        await run_sealed(job, line, None, letters)
    return told


async def test_every_question_gets_its_answer(tmp_path):
    assert await converse(tmp_path, 3) == [0, 10, 20]


async def test_a_childs_time_stands_still_while_a_question_is_open(tmp_path):
    assert await converse(tmp_path, 2, wait=4.0, limit=3.0) == [0, 10]


async def test_a_child_may_not_ask_without_end(tmp_path):
    with pytest.raises(ExceptionGroup) as caught:
        await converse(tmp_path, 5, most=3)
    assert caught.group_contains(SealError, match="asks more than")
