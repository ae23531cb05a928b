"""Writes of the controller: by the Lease, once, and with what others did first taken as it is."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from assay.controller.conditions import EvalRunStatus
from assay.controller.plan import CreateJob, DeleteJob, PatchJob
from assay.controller.writing import Writer
from assay.domain.errors import NotLeaderError, PermanentError, UnavailableError
from assay.kube.api import KubeApi
from assay.kube.transport import Transport
from support.controlled import workers
from support.evalruns import evalrun
from support.scripted_api import (
    ScriptedApi,
    access_to,
    gives,
    refuses,
    scripted_api,
)

NAME = workers()["metadata"]["name"]
MADE = {"metadata": {"name": NAME, "namespace": "space", "resourceVersion": "8"}}
CREATE = CreateJob(workers())
PATCH = PatchJob(NAME, "u", {"spec": {"parallelism": 2}})
DELETE = DeleteJob(NAME, "u")
EACH = pytest.mark.parametrize(
    ("write", "method"), [(CREATE, "POST"), (PATCH, "PATCH"), (DELETE, "DELETE")]
)


class Heard:
    """A mirror's ears."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def wrote(self, item) -> None:
        self.told.append(item.metadata.resource_version)

    def deleted(self, key, uid) -> None:
        self.told.append(f"{key[1]} {uid}")


@pytest.fixture
def server() -> Iterator[ScriptedApi]:
    with scripted_api() as running:
        yield running


def writer(server: ScriptedApi, *, held: bool = True) -> tuple[Writer, Heard]:
    heard = Heard()
    watches = SimpleNamespace(jobs=heard, runs=heard)
    made = Writer(
        KubeApi(Transport(access_to(server))),
        "space",
        watches,  # type: ignore[arg-type]  # its ears alone
        held=lambda: held,
        executor=ThreadPoolExecutor(1, thread_name_prefix="writes"),
    )
    return made, heard


@EACH
async def test_nothing_is_written_without_the_lease(server, write, method) -> None:
    made, heard = writer(server, held=False)
    with pytest.raises(NotLeaderError):
        await made.carry_out(write)
    assert (server.seen, heard.told) == ([], [])


@EACH
async def test_a_write_is_remembered_until_the_mirrors_have_it(
    server, write, method
) -> None:
    server.on(method, gives(MADE))
    made, heard = writer(server)
    assert await made.carry_out(write) == ("space", NAME)
    assert heard.told == [f"{NAME} u" if write is DELETE else "8"]


@pytest.mark.parametrize(
    ("write", "method", "code"),
    [
        (CREATE, "POST", 409),
        (PATCH, "PATCH", 409),
        (PATCH, "PATCH", 404),
        (DELETE, "DELETE", 409),
        (DELETE, "DELETE", 404),
    ],
)
async def test_what_somebody_else_did_first_is_no_failure(
    server, write, method, code
) -> None:
    server.on(method, refuses(code))
    made, heard = writer(server)
    await made.carry_out(write)
    assert heard.told == []


@pytest.mark.parametrize(
    ("code", "error"), [(500, UnavailableError), (403, PermanentError)]
)
async def test_a_refusal_reaches_the_loop_of_its_run(server, code, error) -> None:
    server.on("POST", refuses(code))
    made, _ = writer(server)
    with pytest.raises(error):
        await made.carry_out(CREATE)


async def test_a_status_and_a_change_are_of_the_very_object_that_was_seen(
    server,
) -> None:
    server.on("PATCH", gives(MADE))
    made, _ = writer(server)
    await made.carry_out(PATCH)
    server.on("PATCH", refuses(409, "another uid"))
    await made.status(evalrun(), EvalRunStatus(state="Pending"))
    change, status = server.asked("PATCH")
    assert change.body["metadata"] == {"uid": "u"}
    assert status.path.endswith("/evalruns/demo/status")
    assert status.body["metadata"] == {"uid": "uid-of-demo"}


async def test_an_event_of_its_name_tells_the_same(server) -> None:
    server.on("POST", refuses(409, "there is one"))
    made, _ = writer(server)
    await made.event({"metadata": {"name": "told"}})
    assert len(server.asked("POST")) == 1
