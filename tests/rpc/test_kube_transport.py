"""Requests to an API server that throttles, fails, dawdles or says nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from importlib.metadata import version

import pytest

from assay.domain.errors import (
    ConflictError,
    CorruptError,
    NotFoundError,
    PermanentError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnavailableError,
)
from assay.kube.access import Access
from assay.kube.allowance import Allowance
from assay.kube.api import KubeApi
from assay.kube.objects import KubeObject
from assay.kube.resources import JOBS, PODS
from assay.kube.transport import Call, Timeouts, Transport
from support.scripted_api import (
    FixedToken,
    Handler,
    ScriptedApi,
    Seen,
    SteppedTime,
    api_to,
    gives,
    page,
    refuses,
    scripted_api,
    thing,
)


@pytest.fixture
def server() -> Iterator[ScriptedApi]:
    with scripted_api() as running:
        yield running


def read(api: KubeApi) -> KubeObject:
    return api.get(JOBS, "a", "eval", of=KubeObject)


def test_an_object_is_read_with_the_token_and_our_name(server: ScriptedApi) -> None:
    server.on("GET", gives(thing("a", 7)))
    assert read(api_to(server, "secret")).metadata.resource_version == "7"
    seen = server.asked("GET")[0]
    assert seen.path == "/apis/batch/v1/namespaces/eval/jobs/a"
    assert seen.headers["authorization"] == "Bearer secret"
    assert seen.headers["user-agent"] == f"assay/{version('assay')}"


def test_a_throttling_server_is_asked_again_when_it_says(server: ScriptedApi) -> None:
    server.on("GET", refuses(429, retry_after="7"), gives(thing("a", 7)))
    steps = SteppedTime()
    assert read(api_to(server, stop=steps)).metadata.name == "a"
    assert steps.waits == [7.0]


def test_a_server_that_asks_for_more_than_the_request_may_take_is_not_waited_for(
    server: ScriptedApi,
) -> None:
    server.on("GET", refuses(429, "too many", retry_after="3600"))
    with pytest.raises(UnavailableError, match="too many") as raised:
        read(api_to(server))
    assert raised.value.retry_after == 3600.0
    assert len(server.asked("GET")) == 1


def test_a_wait_for_a_throttling_server_ends_when_the_process_does(
    server: ScriptedApi,
) -> None:
    server.on("GET", refuses(429, retry_after="7"))
    stop = SteppedTime()
    stop.set()
    with pytest.raises(UnavailableError):
        read(api_to(server, stop=stop))
    assert len(server.asked("GET")) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_a_failure_that_asks_for_no_wait_is_left_to_the_caller(
    server: ScriptedApi, status: int
) -> None:
    server.on("GET", refuses(status, "not now"))
    with pytest.raises(UnavailableError, match="not now"):
        read(api_to(server))
    assert len(server.asked("GET")) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, PermanentError),
        (401, UnauthenticatedError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (409, ConflictError),
        (422, PermanentError),
    ],
)
def test_a_refusal_becomes_the_error_of_its_class(
    server: ScriptedApi, status: int, error: type[PermanentError]
) -> None:
    server.on("GET", refuses(status, "because"))
    with pytest.raises(error, match=r"cannot get jobs\.batch a in namespace eval"):
        read(api_to(server))


def test_a_refused_token_is_renewed_and_tried_once_more(server: ScriptedApi) -> None:
    server.on("GET", refuses(401), gives(thing("a", 7)))
    read(api_to(server, "old", "new"))
    used = [seen.headers["authorization"] for seen in server.asked("GET")]
    assert used == ["Bearer old", "Bearer new"]


def test_a_token_that_cannot_be_another_is_not_tried_again(
    server: ScriptedApi,
) -> None:
    server.on("GET", refuses(401))
    with pytest.raises(UnauthenticatedError):
        read(api_to(server, "old"))
    assert len(server.asked("GET")) == 1


def test_a_redirect_takes_the_token_nowhere(server: ScriptedApi) -> None:
    server.on("GET", gives({}, 302, location=f"{server.address}/elsewhere"))
    with pytest.raises(UnavailableError):
        read(api_to(server))
    assert len(server.seen) == 1


def test_a_server_that_says_nothing_is_given_up(server: ScriptedApi) -> None:
    server.on("GET", lambda handler, _seen: says_nothing(handler))
    with pytest.raises(UnavailableError, match="timed out"):
        read(api_to(server, timeouts=Timeouts(5, 0.05, 5)))


def says_nothing(handler: Handler) -> None:
    handler.server.closing.wait(30)
    handler.drop()


def test_an_answer_that_trickles_is_given_up_when_its_time_is_over(
    server: ScriptedApi,
) -> None:
    def trickle(handler: Handler, _seen: Seen) -> None:
        handler.head(200, {"transfer-encoding": "chunked"})
        try:
            while not handler.server.closing.wait(0.01):
                handler.chunk(b" ")
        except OSError:
            handler.drop()

    server.on("GET", trickle)
    start = time.monotonic()
    with pytest.raises(UnavailableError, match=r"longer than 0\.3 s"):
        read(api_to(server, timeouts=Timeouts(5, 5, 0.3)))
    assert time.monotonic() - start >= 0.3


def test_an_answer_cut_in_the_middle_is_no_answer(server: ScriptedApi) -> None:
    def cut(handler: Handler, _seen: Seen) -> None:
        handler.head(200, {"content-length": "1000"})
        handler.wfile.write(b'{"metadata":')
        handler.drop()

    server.on("GET", cut)
    with pytest.raises(UnavailableError, match="no answer from the API server"):
        read(api_to(server))


def test_an_answer_that_is_no_object_names_what_was_asked(server: ScriptedApi) -> None:
    server.on("GET", gives(b"<html>a proxy says hello</html>"))
    with pytest.raises(CorruptError, match=r"get jobs\.batch a in namespace eval"):
        read(api_to(server))


def test_a_port_where_nobody_listens_is_unavailable_and_names_the_server() -> None:
    access = Access("http://127.0.0.1:9", "eval", FixedToken())
    with pytest.raises(UnavailableError, match=r"http://127\.0\.0\.1:9"):
        read(KubeApi(Transport(access)))


def test_every_call_is_counted_by_verb_resource_and_status(
    server: ScriptedApi,
) -> None:
    calls: list[Call] = []
    server.on("GET", refuses(429, retry_after="1"), gives(thing("a", 7)))
    server.on("PATCH", gives(thing("a", 8)))
    api = api_to(server, on_call=calls.append, stop=SteppedTime())
    read(api)
    api.merge(JOBS, "a", {}, "eval", of=KubeObject, subresource="status")
    told = [(call.verb, call.resource, call.status) for call in calls]
    assert told == [
        ("get", "jobs.batch", 429),
        ("get", "jobs.batch", 200),
        ("patch", "jobs.batch/status", 200),
    ]


def test_a_list_whose_pages_are_forgotten_midway_is_read_at_once(
    server: ScriptedApi,
) -> None:
    server.on(
        "list",
        gives(page(5, thing("a", 3), more="next")),
        refuses(410, "the continue token is too old"),
        gives(page(9, thing("a", 3), thing("b", 8))),
    )
    listing = api_to(server).list(PODS, "eval", of=KubeObject, limit=1)
    assert [item.metadata.name for item in listing.items] == ["a", "b"]
    assert listing.resource_version == "9"
    assert "limit" not in server.asked("list")[2].query


def test_a_list_of_nothing_may_be_null(server: ScriptedApi) -> None:
    server.on("list", gives({"metadata": {"resourceVersion": "5"}, "items": None}))
    assert api_to(server).list(PODS, "eval", of=KubeObject).items == []


def test_a_deletion_carries_its_preconditions(server: ScriptedApi) -> None:
    server.on("DELETE", gives({"kind": "Status", "status": "Success"}))
    api_to(server).delete(JOBS, "a", "eval", uid="u1", propagation="Foreground")
    assert server.asked("DELETE")[0].body == {
        "propagationPolicy": "Foreground",
        "preconditions": {"uid": "u1"},
    }


def test_an_apply_names_its_manager_and_its_kind(server: ScriptedApi) -> None:
    server.on("PATCH", gives(thing("a", 8)))
    api_to(server).apply(
        JOBS, "a", {"spec": {}}, "eval", of=KubeObject, manager="assay", force=True
    )
    seen = server.asked("PATCH")[0]
    assert seen.headers["content-type"] == "application/apply-patch+yaml"
    assert seen.query == {"fieldManager": "assay", "force": "true"}
    whole = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"}}
    assert seen.body == {**whole, "spec": {}}


def test_more_requests_than_are_allowed_wait_for_their_turn(
    server: ScriptedApi,
) -> None:
    server.on("GET", gives(thing("a", 7)))
    steps = SteppedTime()
    allowance = Allowance(rate=10, burst=2, clock=steps.clock)
    api = api_to(server, stop=steps, allowance=allowance)
    for _ in range(5):
        read(api)
    assert steps.waits == pytest.approx([0.1, 0.1, 0.1])


def test_the_lines_of_a_log_are_read_as_they_come(server: ScriptedApi) -> None:
    def log(handler: Handler, _seen: Seen) -> None:
        handler.head(200, {"transfer-encoding": "chunked"})
        for piece in (b"one\ntw", b"o\nthree"):
            handler.chunk(piece)
        handler.wfile.write(b"0\r\n\r\n")

    server.on("GET", log)
    lines = api_to(server).log("demo-0", "eval", container="worker", follow=True)
    assert list(lines) == [b"one", b"two", b"three"]
    seen = server.asked("GET")[0]
    assert seen.path == "/api/v1/namespaces/eval/pods/demo-0/log"
    assert seen.query == {"container": "worker", "follow": "true"}
