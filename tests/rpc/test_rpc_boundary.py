"""Every call passes the same boundary: token, errors, message cap, health."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from assay.domain import errors
from assay.rpc.callers import SharedToken
from assay.rpc.channel import open_channel
from assay.rpc.server import Registration, RpcServer, serve
from assay.rpc.status import error_of
from assay.v1 import worker_pb2, worker_pb2_grpc

TOKEN = "boundary-test-token"


class RaisingServicer(worker_pb2_grpc.WorkerServiceServicer):
    """Raises what it is given; `None` answers."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    async def Describe(self, request: Any, context: Any) -> worker_pb2.WorkerView:  # noqa: N802
        if self.error is not None:
            raise self.error
        return worker_pb2.WorkerView(worker_id="w1")


@pytest.fixture
def servicer() -> RaisingServicer:
    return RaisingServicer()


@pytest.fixture
async def server(servicer: RaisingServicer) -> AsyncIterator[RpcServer]:
    def add(to: grpc.aio.Server) -> None:
        worker_pb2_grpc.add_WorkerServiceServicer_to_server(servicer, to)

    running = await serve(
        [Registration("assay.v1.WorkerService", add)],
        listen="127.0.0.1:0",
        authenticator=SharedToken(TOKEN),
    )
    yield running
    await running.stop(0)


async def describe(server: RpcServer, token: str = TOKEN) -> worker_pb2.WorkerView:
    async with open_channel(server.address, token) as channel:
        stub = worker_pb2_grpc.WorkerServiceStub(channel)
        return await stub.Describe(worker_pb2.DescribeRequest(), timeout=10)


async def error_from(server: RpcServer, token: str = TOKEN) -> errors.AssayError:
    with pytest.raises(grpc.RpcError) as failure:
        await describe(server, token)
    return error_of(failure.value, "describe the worker")


async def test_a_call_with_the_token_is_answered(server: RpcServer) -> None:
    assert (await describe(server)).worker_id == "w1"


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x"])
async def test_a_call_without_the_token_is_refused(
    server: RpcServer, token: str
) -> None:
    assert isinstance(await error_from(server, token), errors.UnauthenticatedError)


async def test_health_needs_no_token_and_turns_when_stopping(server: RpcServer) -> None:
    async with grpc.aio.insecure_channel(server.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("reason", sorted(errors.error_classes()))
async def test_every_error_class_survives_the_wire(
    server: RpcServer, servicer: RaisingServicer, reason: str
) -> None:
    cls = errors.error_classes()[reason]
    servicer.error = (
        cls("eval_config.limit", "is a string", "write a number")
        if issubclass(cls, errors.ConfigError)
        else cls("cannot read object k (status 500)", cure="ask the store")
    )
    received = await error_from(server)
    assert (type(received), str(received)) == (cls, str(servicer.error))


async def test_retry_after_travels_with_transient_errors(
    server: RpcServer, servicer: RaisingServicer
) -> None:
    servicer.error = errors.StoreUnavailableError("slow down", retry_after=2.5)
    received = await error_from(server)
    assert isinstance(received, errors.StoreUnavailableError)
    assert received.retry_after == 2.5


async def test_an_unknown_exception_leaks_nothing_but_the_method(
    server: RpcServer, servicer: RaisingServicer
) -> None:
    servicer.error = ValueError("key sk-secret is bad")
    received = await error_from(server)
    assert "sk-secret" not in str(received)
    assert "Describe" in str(received)


async def test_a_dead_server_is_unavailable_not_permanent() -> None:
    async with open_channel("127.0.0.1:1", TOKEN) as channel:
        stub = worker_pb2_grpc.WorkerServiceStub(channel)
        with pytest.raises(grpc.RpcError) as failure:
            await stub.Describe(worker_pb2.DescribeRequest(), timeout=5)
    assert isinstance(error_of(failure.value, "describe"), errors.UnavailableError)


async def test_a_taken_port_is_named_with_the_cure(server: RpcServer) -> None:
    with pytest.raises(errors.UnavailableError, match=server.address):
        await serve([], listen=server.address, authenticator=SharedToken(TOKEN))
