"""Watching an API server that misbehaves: nothing is missed, and it is never asked without pause."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from assay.kube.mirror import Change
from assay.kube.objects import KubeObject
from assay.kube.resources import JOBS
from assay.kube.transport import Timeouts
from assay.kube.watching import Pace, ResourceWatch, Selection
from support.scripted_api import (
    Answer,
    Handler,
    ScriptedApi,
    Seen,
    SteppedTime,
    api_to,
    event,
    gives,
    page,
    refuses,
    scripted_api,
    streams,
    thing,
)

SOON = Pace(first_wait=0.01, longest_wait=0.02)
EVAL = Selection(JOBS, "eval", "run=r1")
SILENCE = streams(then="silence")


class Heard:
    """The changes that a watch told of, to be awaited."""

    def __init__(self) -> None:
        self._changes: queue.Queue[tuple[str, str]] = queue.Queue()

    def __call__(self, change: Change[KubeObject]) -> None:
        self._changes.put((change.kind, change.object.metadata.name))

    def next(self) -> tuple[str, str]:
        return self._changes.get(timeout=30)


@contextmanager
def watching(
    server: ScriptedApi, heard: Heard, pace: Pace = SOON
) -> Iterator[ResourceWatch[KubeObject]]:
    """A watch in a thread of its own."""
    watch = ResourceWatch(api_to(server), EVAL, KubeObject, on_change=heard, pace=pace)
    thread = threading.Thread(target=watch.run, name="watch-jobs")
    thread.start()
    try:
        yield watch
    finally:
        watch.stop()
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def server() -> Iterator[ScriptedApi]:
    with scripted_api() as running:
        running.on("list", gives(page(5, thing("a", 3), thing("b", 4))))
        yield running


def test_a_list_is_read_in_pages_and_watched_from_its_version(
    server: ScriptedApi,
) -> None:
    heard = Heard()
    server.on(
        "list",
        gives(page(5, thing("a", 3), more="next")),
        gives(page(5, thing("b", 4))),
    )
    server.on("watch", streams(event("ADDED", thing("c", 6)), then="silence"))
    with watching(server, heard) as watch:
        told = [heard.next() for _ in range(3)]
        assert watch.await_synced(30)
    assert told == [("added", "a"), ("added", "b"), ("added", "c")]
    assert server.asked("list")[1].query["continue"] == "next"
    query = server.asked("watch")[0].query
    assert (query["resourceVersion"], query["labelSelector"]) == ("5", "run=r1")
    assert query["allowWatchBookmarks"] == "true"


def test_an_ended_watch_goes_on_from_its_last_event_without_a_list(
    server: ScriptedApi,
) -> None:
    heard = Heard()
    server.on("watch", streams(event("MODIFIED", thing("a", 7))), SILENCE)
    with watching(server, heard):
        again = server.await_asked("watch", 2)[1]
    assert again.query["resourceVersion"] == "7"
    assert len(server.asked("list")) == 1


def test_a_bookmark_moves_where_the_next_watch_begins(server: ScriptedApi) -> None:
    mark = event("BOOKMARK", {"metadata": {"resourceVersion": "90"}})
    server.on("watch", streams(mark), SILENCE)
    with watching(server, Heard()):
        again = server.await_asked("watch", 2)[1]
    assert again.query["resourceVersion"] == "90"


FORGOTTEN = event("ERROR", {"kind": "Status", "code": 410, "message": "too old"})


@pytest.mark.parametrize("gone", [refuses(410), streams(FORGOTTEN)])
def test_a_forgotten_version_is_listed_anew_and_missed_deletions_are_told(
    server: ScriptedApi, gone: Answer
) -> None:
    heard = Heard()
    server.on("list", gives(page(5, thing("a", 3))), gives(page(50, thing("b", 40))))
    server.on("watch", gone, SILENCE)
    with watching(server, heard):
        told = [heard.next() for _ in range(3)]
        again = server.await_asked("watch", 2)[1]
    assert told == [("added", "a"), ("deleted", "a"), ("added", "b")]
    assert again.query["resourceVersion"] == "50"


def test_a_line_cut_in_the_middle_is_asked_for_again(server: ScriptedApi) -> None:
    heard = Heard()
    server.on(
        "watch",
        streams(event("MODIFIED", thing("a", 7)), then="cut"),
        streams(event("MODIFIED", thing("b", 8)), then="silence"),
    )
    with watching(server, heard):
        told = [heard.next() for _ in range(4)]
    assert told[2:] == [("modified", "a"), ("modified", "b")]
    assert server.asked("watch")[1].query["resourceVersion"] == "7"


def test_a_silent_watch_is_given_up(server: ScriptedApi) -> None:
    server.on("watch", SILENCE)
    pace = Pace(patience=0.05, first_wait=0.01, longest_wait=0.02)
    with watching(server, Heard(), pace) as watch:
        server.await_asked("watch", 3)
        assert "Read timed out" in str(watch.problem) or watch.problem is None
    assert len(server.asked("list")) == 1


def test_stopping_ends_a_silent_watch_at_once(server: ScriptedApi) -> None:
    server.on("watch", SILENCE)
    with watching(server, Heard(), Pace()) as watch:
        server.await_asked("watch", 1)
        assert watch.await_synced(30)
        assert watch.problem is None


ENDLESS = {
    "ended at once": streams(),
    "cut at once": streams(then="cut"),
    "500": refuses(500),
    "429": refuses(429),
    "410": refuses(410),
    "403": refuses(403),
    "no events": streams({"what": "is this"}),
}


@pytest.mark.parametrize("fault", ENDLESS)
def test_in_a_minute_of_faults_at_most_twelve_watches_are_begun(
    server: ScriptedApi, fault: str
) -> None:
    server.on("watch", ENDLESS[fault])
    minute = SteppedTime(60.0)
    reasons: list[str] = []
    ResourceWatch(
        api_to(server),
        EVAL,
        KubeObject,
        on_change=lambda _change: None,
        on_restart=reasons.append,
        clock=minute.clock,
        stop=minute,
    ).run()
    begun = len(server.asked("watch"))
    assert 4 <= begun <= 12, minute.waits
    assert len(server.asked("list")) <= (begun if fault == "410" else 1)


def test_in_the_steady_state_a_410_storm_makes_two_lists_a_minute(
    server: ScriptedApi,
) -> None:
    server.on("watch", refuses(410))
    storm = SteppedTime(1200.0)
    ResourceWatch(
        api_to(server),
        EVAL,
        KubeObject,
        on_change=lambda _change: None,
        clock=storm.clock,
        stop=storm,
    ).run()
    assert len(server.asked("list")) <= 2 * 20 + 8


def test_the_wait_that_a_throttling_server_asks_for_is_kept(
    server: ScriptedApi,
) -> None:
    server.on("watch", refuses(429, retry_after="17"))
    steps = SteppedTime(60.0)
    ResourceWatch(
        api_to(server),
        EVAL,
        KubeObject,
        on_change=lambda _change: None,
        clock=steps.clock,
        stop=steps,
    ).run()
    assert min(steps.waits) >= 17


def test_our_own_write_is_trusted_once_the_watch_has_it(server: ScriptedApi) -> None:
    heard = Heard()
    go_on = threading.Event()

    def later(handler: object, seen: object) -> None:
        assert go_on.wait(30)
        streams(event("MODIFIED", thing("a", 9)), then="silence")(handler, seen)  # type: ignore[arg-type]

    server.on("watch", later)
    with watching(server, heard) as watch:
        assert watch.await_synced(30)
        watch.wrote(msgspec.convert(thing("a", 9), KubeObject))
        before = watch.trusted(("eval", "a"))
        go_on.set()
        assert [heard.next() for _ in range(3)][2] == ("modified", "a")
        assert (before, watch.trusted(("eval", "a"))) == (False, True)


def test_everything_is_listed_anew_now_and_then(server: ScriptedApi) -> None:
    server.on("watch", streams())
    hours = SteppedTime(3600.0)
    ResourceWatch(
        api_to(server),
        EVAL,
        KubeObject,
        on_change=lambda _change: None,
        pace=Pace(relist=600.0),
        clock=hours.clock,
        stop=hours,
    ).run()
    assert 5 <= len(server.asked("list")) <= 7


def test_a_watch_that_never_begins_is_given_up_before_a_silent_one(
    server: ScriptedApi,
) -> None:
    def never(handler: Handler, _seen: Seen) -> None:
        handler.server.closing.wait(30)
        handler.drop()

    server.on("watch", never)
    api = api_to(server, timeouts=Timeouts(5, 0.2, 5))
    watch = ResourceWatch(
        api, EVAL, KubeObject, on_change=lambda _change: None, pace=SOON
    )
    thread = threading.Thread(target=watch.run, name="watch-jobs")
    thread.start()
    server.await_asked("watch", 2)
    watch.stop()
    thread.join(30)
    assert not thread.is_alive()
