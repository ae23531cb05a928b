"""The adapter against a real Kubernetes API server: what the scripted one takes for granted is so."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from assay.domain.errors import (
    ConflictError,
    HeldError,
    NotFoundError,
    NotLeaderError,
    PermanentError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from assay.kube.api import KubeApi
from assay.kube.lease import KubernetesLease
from assay.kube.mirror import Change
from assay.kube.objects import KubeObject
from assay.kube.refusals import GoneError
from assay.kube.resources import (
    CONFIG_MAPS,
    EVAL_RUNS,
    JOBS,
    NAMESPACES,
    PODS,
    SERVICE_ACCOUNTS,
)
from assay.kube.transport import Transport
from assay.kube.watching import Pace, ResourceWatch, Selection
from support.api_server import NOBODY, ApiServer, running_api_server, signed
from support.binaries import MissingError, binary
from support.scripted_api import SteppedTime

WAIT = 30


class Config(KubeObject, frozen=True, kw_only=True):
    data: dict[str, str] | None = None


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    try:
        for name in ("etcd", "kube-apiserver"):
            binary(name)
    except MissingError as error:
        pytest.skip(str(error))
    with running_api_server(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture(scope="module")
def api(server: ApiServer) -> KubeApi:
    return KubeApi(Transport(server.access()))


@pytest.fixture
def space(api: KubeApi, request: pytest.FixtureRequest) -> str:
    """A namespace of the test's own."""
    name = f"t{abs(hash(request.node.name))}"
    api.create(NAMESPACES, {"metadata": {"name": name}}, of=KubeObject)
    return name


def put(api: KubeApi, space: str, name: str, **data: str) -> Config:
    body = {"metadata": {"name": name, "labels": {"run": "r1"}}, "data": data}
    return api.create(CONFIG_MAPS, body, space, of=Config)


def job(name: str, **spec: Any) -> dict[str, Any]:
    containers = [{"name": "worker", "image": "worker:1"}]
    template = {"spec": {"restartPolicy": "Never", "containers": containers}}
    return {"metadata": {"name": name}, "spec": {"template": template, **spec}}


@contextmanager
def watching(
    api: KubeApi, space: str, heard: queue.Queue[tuple[str, str]]
) -> Iterator[ResourceWatch[Config]]:
    def hear(change: Change[Config]) -> None:
        heard.put((change.kind, change.object.metadata.name))

    chosen = Selection(CONFIG_MAPS, space, "run=r1")
    watch = ResourceWatch(api, chosen, Config, on_change=hear, pace=Pace())
    thread = threading.Thread(target=watch.run, name="watch-configs")
    thread.start()
    try:
        assert watch.await_synced(WAIT)
        yield watch
    finally:
        watch.stop()
        thread.join(WAIT)
        assert not thread.is_alive()
        assert watch.problem is None


def test_a_watch_tells_what_was_there_and_what_becomes_of_it(
    api: KubeApi, space: str
) -> None:
    put(api, space, "a", n="1")
    heard: queue.Queue[tuple[str, str]] = queue.Queue()
    with watching(api, space, heard) as watch:
        put(api, space, "b", n="1")
        api.merge(CONFIG_MAPS, "a", {"data": {"n": "2"}}, space, of=Config)
        api.delete(CONFIG_MAPS, "b", space)
        told = [heard.get(timeout=WAIT) for _ in range(4)]
        found = watch.get((space, "a"))
    assert told == [("added", "a"), ("added", "b"), ("modified", "a"), ("deleted", "b")]
    assert found is not None
    assert found.data == {"n": "2"}


def test_our_own_writes_and_deletions_are_awaited_and_then_seen(
    api: KubeApi, space: str
) -> None:
    heard: queue.Queue[tuple[str, str]] = queue.Queue()
    with watching(api, space, heard) as watch:
        made = put(api, space, "a")
        watch.wrote(made)
        assert heard.get(timeout=WAIT) == ("added", "a")
        assert watch.trusted((space, "a"))
        api.delete(CONFIG_MAPS, "a", space, uid=made.metadata.uid)
        watch.deleted((space, "a"), made.metadata.uid)
        assert heard.get(timeout=WAIT) == ("deleted", "a")
        assert watch.all_trusted


def test_a_long_list_comes_in_pages_of_one_version(api: KubeApi, space: str) -> None:
    made = [put(api, space, f"c{n}").metadata.name for n in range(7)]
    listing = api.list(CONFIG_MAPS, space, of=Config, labels="run=r1", limit=2)
    assert [item.metadata.name for item in listing.items] == made
    whole = api.list(CONFIG_MAPS, space, of=Config, labels="run=r1", limit=0)
    assert whole.items == listing.items


def test_a_watch_ends_when_its_time_is_over_and_marks_where(
    api: KubeApi, space: str
) -> None:
    version = put(api, space, "a").metadata.resource_version
    watch = api.watch(CONFIG_MAPS, space, of=Config, since=version, seconds=1)
    events = list(watch)
    assert {event.type for event in events} <= {"BOOKMARK"}


def test_a_second_creation_and_a_deletion_of_another_are_conflicts(
    api: KubeApi, space: str
) -> None:
    put(api, space, "a")
    with pytest.raises(ConflictError, match="already exists"):
        put(api, space, "a")
    with pytest.raises(ConflictError, match="UID in the precondition"):
        api.delete(CONFIG_MAPS, "a", space, uid="somebody-else")


def test_a_change_to_an_older_version_is_a_conflict(api: KubeApi, space: str) -> None:
    old = put(api, space, "a").metadata.resource_version
    api.merge(CONFIG_MAPS, "a", {"data": {"n": "2"}}, space, of=Config)
    change = {"metadata": {"resourceVersion": old}, "data": {"n": "3"}}
    with pytest.raises(ConflictError, match="has been modified"):
        api.merge(CONFIG_MAPS, "a", change, space, of=Config)


def test_a_field_of_another_manager_is_taken_over_only_by_force(
    api: KubeApi, space: str
) -> None:
    def apply(manager: str, *, force: bool) -> Config:
        body = {"data": {"n": manager}}
        words = {"of": Config, "manager": manager, "force": force}
        return api.apply(CONFIG_MAPS, "a", body, space, **words)

    apply("one", force=False)
    with pytest.raises(ConflictError, match="conflict"):
        apply("two", force=False)
    assert apply("two", force=True).data == {"n": "two"}


def test_a_status_is_patched_and_a_template_is_not(api: KubeApi, space: str) -> None:
    class Job(KubeObject, frozen=True, kw_only=True):
        status: dict[str, Any] = msgspec.field(default_factory=dict)

    api.create(JOBS, job("seats"), space, of=Job)
    change = {"status": {"active": 3}}
    words = {"of": Job, "subresource": "status"}
    assert api.merge(JOBS, "seats", change, space, **words).status["active"] == 3
    template = {"spec": {"template": {"spec": {"restartPolicy": "OnFailure"}}}}
    with pytest.raises(PermanentError, match=r"mend spec\.template: .*immutable"):
        api.merge(JOBS, "seats", template, space, of=Job)


def test_what_is_not_there_is_not_found(api: KubeApi, space: str) -> None:
    with pytest.raises(NotFoundError, match=r'configmaps "a" not found$'):
        api.get(CONFIG_MAPS, "a", space, of=Config)
    with pytest.raises(NotFoundError, match=r"install the definition of evalruns"):
        api.list(EVAL_RUNS, space, of=KubeObject)


def test_a_stranger_is_told_which_rule_is_missing(
    server: ApiServer, space: str
) -> None:
    nobody = KubeApi(Transport(server.access(token=NOBODY)))
    with pytest.raises(
        PermissionDeniedError, match=r'verb list on pods \(apiGroup ""\)'
    ):
        nobody.list(PODS, space, of=KubeObject)
    wrong = KubeApi(Transport(server.access(token="nonsense")))
    with pytest.raises(UnauthenticatedError, match="renew the token"):
        wrong.list(PODS, space, of=KubeObject)


def test_a_client_certificate_is_enough(server: ApiServer, space: str) -> None:
    user = signed(server.folder, "somebody", "system:masters")
    api = KubeApi(Transport(server.access(**user)))
    assert api.list(PODS, space, of=KubeObject).items == []


def test_a_token_for_an_audience_can_be_asked_for(api: KubeApi, space: str) -> None:
    class Token(KubeObject, frozen=True, kw_only=True):
        status: dict[str, str]

    api.create(SERVICE_ACCOUNTS, {"metadata": {"name": "cli"}}, space, of=KubeObject)
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": [f"assay/{space}/demo/cli"], "expirationSeconds": 600},
    }
    words = {"of": Token, "name": "cli", "subresource": "token"}
    made = api.create(SERVICE_ACCOUNTS, body, space, **words)
    assert made.status["token"].count(".") == 2


def claim(api: KubeApi, space: str, holder: str, steps: SteppedTime) -> KubernetesLease:
    return KubernetesLease(
        api, space, "demo", holder, duration=15, clock=steps.clock, stop=steps
    )


def test_a_claim_goes_from_holder_to_holder_and_counts_up(
    api: KubeApi, space: str
) -> None:
    steps = SteppedTime()
    first, second = claim(api, space, "one", steps), claim(api, space, "two", steps)
    first.acquire()
    first.renew()
    assert second.try_acquire() == 15
    first.release()
    second.acquire()
    assert (first.held(), second.held(), second.transitions) == (False, True, 2)
    third = claim(api, space, "three", steps)
    third.acquire()
    assert (second.held(), third.transitions, steps.now >= 15) == (False, 3, True)


def test_an_overtaken_holder_cannot_renew(api: KubeApi, space: str) -> None:
    steps, stopped = SteppedTime(), SteppedTime()
    first, second = claim(api, space, "one", stopped), claim(api, space, "two", steps)
    first.acquire()
    second.acquire()
    # Its own clock stood still, as if the whole machine had: the version tells.
    with pytest.raises(NotLeaderError, match="two has it"):
        first.renew()


def test_of_eight_that_want_it_at_once_one_gets_it(api: KubeApi, space: str) -> None:
    got: list[str] = []
    begin = threading.Barrier(8)

    def want(name: str) -> None:
        lease = claim(api, space, name, SteppedTime(10.0))
        begin.wait(WAIT)
        try:
            lease.acquire()
        except HeldError:
            return
        got.append(name)

    threads = [threading.Thread(target=want, args=(f"h{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert len(got) == 1


def test_a_watch_survives_the_servers_death_and_makes_up_for_what_was_forgotten(
    server: ApiServer, api: KubeApi, space: str
) -> None:
    old = put(api, space, "a").metadata.resource_version
    heard: queue.Queue[tuple[str, str]] = queue.Queue()
    with watching(api, space, heard) as watch:
        assert heard.get(timeout=WAIT) == ("added", "a")
        # Others', which the watch is not told of: its version is an old one by then.
        for name in ("x", "y"):
            body = {"metadata": {"name": name}}
            api.create(CONFIG_MAPS, body, space, of=Config)
        server.kill()
        server.start()
        with pytest.raises(GoneError, match="too old"):
            list(api.watch(CONFIG_MAPS, space, of=Config, since=old))
        put(api, space, "b")
        assert heard.get(timeout=60) == ("added", "b")
        assert watch.problem is None
