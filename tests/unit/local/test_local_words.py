"""What a local run says: last words, notices, calls that fail."""

import asyncio
import json
from dataclasses import replace

import pytest

from assay.domain.errors import AssayError, ConflictError, UnavailableError
from assay.domain.observed import Death, Ending
from assay.domain.report import RunState
from assay.driving.calls import Calls
from assay.driving.notices import Deaths, Troubles, news
from assay.local.journal import last_words
from assay.local.loopback import free_address
from support.decisions import queue, run_of, snapshot, task

RUN = run_of(endpoint_patience=30.0)
ERROR = {"level": "error", "event": "cannot serve", "error": "the port is taken"}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([json.dumps(ERROR)], "cannot serve: the port is taken"),
        ([json.dumps(ERROR), '{"level": "info"}'], "cannot serve: the port is taken"),
        (["error: no room"], "no room"),
        (["Traceback (most recent call last):", "  File x", "KeyError: 'a'"], "KeyError: 'a'"),
        (['{"level": "info", "event": "serving"}'], ""),
        (['{"level": "error", "ev'], ""),
        ([], ""),
    ],
)  # fmt: skip
def test_last_words_are_the_last_complaint(tmp_path, lines, words):
    (tmp_path / "log").write_text("\n".join(lines))
    assert last_words(tmp_path / "log", 0) == words


def test_complaints_of_an_earlier_life_are_left_out(tmp_path):
    (tmp_path / "log").write_text("error: long ago\n")
    assert last_words(tmp_path / "log", 16) == ""
    assert last_words(tmp_path / "none", 0) == ""


def test_a_dead_endpoint_is_said_once_and_so_is_its_return():
    fine = snapshot(task("INFERRING"), queues=(queue(),))
    gone = snapshot(task("INFERRING"), queues=(queue(dead_for=1.0),))
    (said,) = news(RUN, fine, gone)
    assert "refuses connections; waiting up to 30 s" in said
    assert list(news(RUN, gone, gone)) == []
    assert list(news(RUN, None, gone)) == [said]


def test_a_full_disk_is_said_once_and_so_is_its_end():
    fine = snapshot(task("INFERRING", predicted=3))
    full = replace(fine, message="cannot write /runs/a: no space (make room)")
    troubles = Troubles()
    (said,) = troubles.news(full)
    assert said.startswith("cannot write /runs/a: no space (make room); waiting")
    again = snapshot(task("INFERRING", predicted=4))
    elsewhere = replace(full, message="cannot write /runs/b: no space (make room)")
    # A new aggregator knows of no trouble before it has tried.
    for same in (full, elsewhere, fine, full):
        assert list(troubles.news(same)) == []
    assert list(troubles.news(again)) == ["answers can be kept again"]
    assert list(troubles.news(again)) == []
    assert list(Troubles().news(replace(full, state=RunState.FAILED))) == []


def test_trouble_of_another_kind_is_said_too():
    full = replace(snapshot(), message="cannot write /runs/a: no space")
    troubles = Troubles()
    assert len(list(troubles.news(full))) == 1
    assert (
        len(list(troubles.news(replace(full, message="cannot write /a: stale")))) == 1
    )


def test_a_part_that_goes_on_dying_in_the_same_way_is_said_once():
    deaths = Deaths()
    death = Death(
        at=1.0, lived=0.1, ending=Ending.CRASHED, progress=3, message="exit code 1"
    )
    assert list(deaths.news("infer-m", death)) == ["infer-m ended: exit code 1"]
    assert list(deaths.news("infer-m", replace(death, at=2.0))) == []
    other = replace(death, message="no room")
    assert list(deaths.news("infer-m", other)) == ["infer-m ended: no room"]
    assert list(deaths.news("infer-m", replace(other, progress=4))) != []


def test_a_task_that_failed_is_said_once():
    before = snapshot(task("WAITING"))
    after = snapshot(task("FAILED", message="no such file"))
    assert list(news(RUN, before, after)) == ["m/d failed: no such file"]
    assert list(news(RUN, after, after)) == []


def _failing(error):
    async def call():
        raise error

    return call


async def test_a_call_that_fails_for_good_is_told():
    told = []
    calls = Calls(lambda: None, told.append)
    for error in (ConflictError("other spec"), ValueError("a bug")):
        calls.make("open", _failing(error))
        await asyncio.sleep(0.01)
    assert [type(error) for error in told] == [ConflictError, AssayError]


async def test_a_call_that_fails_for_now_is_paused_and_then_made_again():
    made, changed = [], asyncio.Event()
    calls = Calls(changed.set, made.append)

    async def call():
        made.append("call")
        raise UnavailableError("away")

    calls.make("open", call)
    calls.make("open", call)
    await changed.wait()
    calls.make("open", call)
    assert made == ["call"]
    changed.clear()
    await changed.wait()
    calls.make("open", call)
    await asyncio.sleep(0.01)
    assert made == ["call", "call"]
    await calls.cancel()


def test_addresses_are_on_loopback_and_differ():
    assert free_address().startswith("127.0.0.1:")
    assert len({free_address() for _ in range(20)}) > 1
