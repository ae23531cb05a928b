"""In a cluster every call proves who makes it; what proves nothing, or another run's, is refused."""

from __future__ import annotations

import time

import grpc
import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from assay.domain import errors
from assay.rpc.callers import Caller, Role
from assay.rpc.channel import open_channel
from assay.rpc.cluster_tokens import ClusterKeys, ServiceAccountTokens
from assay.rpc.server import Registration, serve
from assay.rpc.status import error_of
from assay.v1 import run_pb2, run_pb2_grpc, score_pb2, score_pb2_grpc, work_pb2
from assay.v1 import work_pb2_grpc as work_grpc

ISSUER = "https://kubernetes.default.svc"
ACCOUNTS = {role: f"system:serviceaccount:evals:demo-{role}" for role in Role}
PLATFORM = "evals/demo"
RUN_SERVICE = run_pb2.DESCRIPTOR.services_by_name["RunService"]
KEYS = {name: rsa.generate_private_key(65537, 2048) for name in ("one", "two")}


class Everything(
    work_grpc.WorkServiceServicer,
    run_pb2_grpc.RunServiceServicer,
    score_pb2_grpc.ScoreServiceServicer,
):
    """Answers what it is asked."""

    async def Lease(self, request, context):  # noqa: N802
        return work_pb2.LeaseResponse(in_flight_limit=7)

    async def Get(self, request, context):  # noqa: N802
        return run_pb2.RunView()

    async def Score(self, request_iterator, context):  # noqa: N802
        async for _ in request_iterator:
            yield score_pb2.ScoreResponse()


class Cluster:
    """The cluster's key set over HTTP, and how often it was asked for."""

    def __init__(self):
        self.published = ["one"]
        self.asked = 0
        self.broken = False

    async def jwks(self, _request):
        self.asked += 1
        if self.broken:
            return web.Response(status=500)
        keys = []
        for name in self.published:
            told = RSAAlgorithm.to_jwk(KEYS[name].public_key(), as_dict=True)
            keys.append({**told, "kid": name, "alg": "RS256", "use": "sig"})
        return web.json_response({"keys": keys})


@pytest.fixture
def cluster():
    return Cluster()


@pytest.fixture
async def address(cluster, unused_tcp_port):
    """A server that admits the release's service accounts."""
    app = web.Application()
    app.router.add_get("/openid/v1/jwks", cluster.jwks)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()
    keys = ClusterKeys(f"http://127.0.0.1:{unused_tcp_port}/openid/v1/jwks")
    check = ServiceAccountTokens(
        keys, issuer=ISSUER, platform=PLATFORM, accounts=ACCOUNTS
    )
    server = await serve(
        [
            Registration("assay.v1.WorkService", add_work),
            Registration("assay.v1.RunService", add_run),
            Registration("assay.v1.ScoreService", add_score),
        ],
        listen="127.0.0.1:0",
        authenticator=check,
    )
    yield server.address
    await server.stop(0)
    await runner.cleanup()


def add_work(server):
    work_grpc.add_WorkServiceServicer_to_server(Everything(), server)


def add_run(server):
    run_pb2_grpc.add_RunServiceServicer_to_server(Everything(), server)


def add_score(server):
    score_pb2_grpc.add_ScoreServiceServicer_to_server(Everything(), server)


def token(role=Role.INFER, audience="assay/run-1/infer", *, key="one", **changes):
    claims = {
        "iss": ISSUER,
        "aud": [audience],
        "sub": ACCOUNTS[role],
        "exp": time.time() + 600,
    }
    return jwt.encode(
        {k: v for k, v in (claims | changes).items() if v is not None},
        KEYS[key],
        algorithm="RS256",
        headers={"kid": key},
    )


async def lease(address, token, run_id="run-1"):
    async with open_channel(address, token) as channel:
        stub = work_grpc.WorkServiceStub(channel)
        return await stub.Lease(work_pb2.LeaseRequest(run_id=run_id), timeout=10)


async def refused(call):
    with pytest.raises(grpc.RpcError) as failure:
        await call
    return error_of(failure.value, "call")


async def test_a_worker_with_its_runs_token_is_answered(address):
    assert (await lease(address, token())).in_flight_limit == 7


async def test_a_token_source_is_asked_before_every_call(address):
    tokens = iter([token(), token(exp=1)])
    async with open_channel(address, lambda: next(tokens)) as channel:
        stub = work_grpc.WorkServiceStub(channel)
        request = work_pb2.LeaseRequest(run_id="run-1")
        await stub.Lease(request, timeout=10)
        error = await refused(stub.Lease(request, timeout=10))
    assert "expired" in str(error)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1},
        {"exp": None},
        {"iss": "https://another.cluster"},
        {"key": "two"},
        {"aud": ["https://kubernetes.default.svc"]},
        {"aud": ["assay/run-1/owner"]},
        {"aud": ["assay//infer"]},
        {"aud": ["assay/evals/demo/infer"]},
        {"sub": "system:serviceaccount:evals:default"},
        {"sub": ACCOUNTS[Role.SCORER]},
    ],
)
async def test_a_token_that_says_anything_else_proves_nobody(address, changes):
    error = await refused(lease(address, token(**changes)))
    assert isinstance(error, errors.UnauthenticatedError)


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "no.jwt.at-all",
        jwt.encode({"aud": ["assay/run-1/infer"]}, "x" * 32, headers={"kid": "one"}),
        jwt.encode({"aud": ["assay/run-1/infer"]}, None, "none", {"kid": "one"}),
    ],
)
async def test_what_the_cluster_did_not_sign_proves_nobody(address, bad):
    error = await refused(lease(address, bad))
    assert isinstance(error, errors.UnauthenticatedError)


async def test_a_worker_may_not_speak_of_another_run(address):
    error = await refused(lease(address, token(), run_id="run-2"))
    assert isinstance(error, errors.PermissionDeniedError)
    assert "run-2" in str(error)


async def test_a_scorer_may_not_claim_another_runs_task(address):
    mine = token(Role.SCORER, "assay/run-1/scorer")
    async with open_channel(address, mine) as channel:
        for run_id, denied in (("run-1", False), ("run-2", True)):
            call = score_pb2_grpc.ScoreServiceStub(channel).Score(timeout=10)
            claim = score_pb2.ScoreClaim(run_id=run_id)
            await call.write(score_pb2.ScoreRequest(claim=claim))
            await call.done_writing()
            if not denied:
                assert await call.read() is not grpc.aio.EOF
                continue
            assert isinstance(await refused(call.read()), errors.PermissionDeniedError)


@pytest.mark.parametrize(
    ("role", "audience"),
    [
        (Role.SCORER, "assay/run-1/scorer"),
        (Role.CONTROLLER, "assay/evals/demo/controller"),
        (Role.CLI, "assay/evals/demo/cli"),
    ],
)
async def test_a_role_that_does_no_inference_may_not_lease(address, role, audience):
    error = await refused(lease(address, token(role, audience)))
    assert isinstance(error, errors.PermissionDeniedError)


async def test_only_the_platform_may_ask_about_runs(address):
    async def get(mine):
        async with open_channel(address, mine) as channel:
            stub = run_pb2_grpc.RunServiceStub(channel)
            return await stub.Get(run_pb2.GetRequest(run_id="any"), timeout=10)

    await get(token(Role.CLI, "assay/evals/demo/cli"))
    for other in (token(), token(Role.CLI, "assay/evals/other/cli")):
        await refused(get(other))


async def test_a_new_key_of_the_cluster_is_found_and_made_up_ones_cost_nothing(
    address, cluster
):
    await lease(address, token())
    cluster.published.append("two")
    for _ in range(20):
        await refused(lease(address, token(key="two")))
    assert cluster.asked == 1


async def test_keys_are_fetched_again_for_an_unknown_id_after_a_while(
    cluster, address, unused_tcp_port
):
    now = [0.0]
    url = f"http://127.0.0.1:{unused_tcp_port}/openid/v1/jwks"
    keys = ClusterKeys(url, clock=lambda: now[0])
    assert await keys.key("two") is None
    cluster.published = ["two"]
    now[0] = 11.0
    assert (await keys.key("two")).key_id == "two"
    assert await keys.key("one") is None


async def test_a_cluster_that_does_not_answer_is_unavailable_not_unauthenticated(
    address, cluster
):
    cluster.broken = True
    error = await refused(lease(address, token()))
    assert isinstance(error, errors.UnavailableError)
    assert "/openid/v1/jwks" in str(error)


@pytest.mark.parametrize(
    ("role", "methods"),
    [
        (Role.CONTROLLER, {each.name for each in RUN_SERVICE.methods}),
        (Role.CLI, {"Get", "Watch", "List", "Report", "Retry", "Cancel"}),
        (Role.INFER, set()),
        (Role.JUDGE, set()),
        (Role.SCORER, set()),
        (None, {each.name for each in RUN_SERVICE.methods}),
    ],
)
def test_a_role_may_call_these_methods_about_runs_and_no_others(role, methods):
    for method in RUN_SERVICE.methods:
        call = f"/assay.v1.RunService/{method.name}"
        if method.name in methods:
            Caller(role).check_method(call)
        else:
            with pytest.raises(errors.PermissionDeniedError, match="may not call"):
                Caller(role).check_method(call)
