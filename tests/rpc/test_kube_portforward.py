"""A pod's port through the API server: bytes whole, refusals plain, connections that mend and end."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from assay.domain.errors import (
    NotFoundError,
    PermanentError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnavailableError,
)
from assay.kube.portforward import Target, port_forward
from support.forwarding_api import echoing, forwarding_api


def target(*names: str) -> Target:
    """Finds one pod after the other; the last for ever."""
    left = list(names)
    return Target("space", lambda: left.pop(0) if len(left) > 1 else left[0], 8443)


@asynccontextmanager
async def forwarded(*names: str, tokens: tuple[str, ...] = ("good",)):
    async with (
        echoing() as port,
        forwarding_api(port) as api,
        port_forward(api.access(*tokens), target(*(names or ("a",)))) as (
            path,
            forward,
        ),
    ):
        yield api, path.removeprefix("unix:"), forward


async def echoed(path: str, data: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(data)
    answer = await reader.readexactly(len(data))
    writer.close()
    await writer.wait_closed()
    return answer


async def test_bytes_come_back_as_they_went_however_many() -> None:
    async with forwarded() as (_, path, _forward):
        data = os.urandom(5_000_000)
        assert await asyncio.wait_for(echoed(path, data), 60) == data


async def test_many_connections_are_carried_at_once() -> None:
    async with forwarded() as (_, path, _forward):
        sent = [bytes((n,)) * 1000 for n in range(20)]
        assert await asyncio.gather(*(echoed(path, data) for data in sent)) == sent


async def test_the_first_connection_was_dialled_before_anybody_asked() -> None:
    async with forwarded() as (api, path, _):
        assert api.pods == ["a"]
        await echoed(path, b"one")
        assert api.pods == ["a"]
        await echoed(path, b"two")
        assert api.pods == ["a", "a"]


async def test_after_a_break_the_next_connection_looks_for_the_pod_anew() -> None:
    async with forwarded("a", "b") as (api, path, forward):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        await api.cut()
        assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()
        assert await echoed(path, b"y") == b"y"
        assert api.pods == ["a", "b"]
        assert forward.problem is None


async def test_why_a_connection_was_closed_can_be_asked() -> None:
    async with forwarded() as (api, path, forward):
        await echoed(path, b"x")
        api.error = "error forwarding port 8443: connection refused"
        reader, writer = await asyncio.open_unix_connection(path)
        assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()
        assert isinstance(forward.problem, UnavailableError)
        assert "connection refused" in str(forward.problem)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (400, PermanentError),
        (502, UnavailableError),
    ],
)
async def test_a_refused_forward_is_told_as_what_it_is(status, error) -> None:
    async with echoing() as port, forwarding_api(port) as api:
        api.status = status
        with pytest.raises(error, match="portforward a in namespace space"):
            async with port_forward(api.access(), target("a")):
                pass


async def test_who_may_not_forward_is_told_the_right_that_is_missing() -> None:
    async with echoing() as port, forwarding_api(port) as api:
        api.status = 403
        with pytest.raises(PermissionDeniedError) as failure:
            async with port_forward(api.access(), target("a")):
                pass
        assert "create on pods/portforward" in (failure.value.cure or "")


async def test_a_token_that_expired_is_renewed_once() -> None:
    async with forwarded(tokens=("old", "good")) as (_, path, _forward):
        assert await echoed(path, b"x") == b"x"
    async with echoing() as port, forwarding_api(port) as api:
        with pytest.raises(UnauthenticatedError):
            async with port_forward(api.access("old", "older"), target("a")):
                pass


async def test_a_server_that_speaks_no_such_protocol_is_refused() -> None:
    async with echoing() as port, forwarding_api(port) as api:
        api.protocols = ()
        with pytest.raises(PermanentError, match=r"v4\.channel"):
            async with port_forward(api.access(), target("a")):
                pass


async def test_an_api_server_that_is_away_is_told() -> None:
    async with echoing() as port, forwarding_api(port) as api:
        access = api.access()
    with pytest.raises(UnavailableError, match="portforward a"):
        async with port_forward(access, target("a")):
            pass


async def test_the_socket_is_this_users_alone_and_goes_with_the_context() -> None:
    async with forwarded() as (_, path, _forward):
        folder = Path(path).parent
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()
