"""A real Prometheus over a release that runs: panels have data, alerts fire on their faults alone.

The API server, the Job controller, the store and our services are real; a tiny kubelet runs the pods. What
belongs to other programs (vLLM, DCGM's exporter, kube-state-metrics) is a page with their series' names.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import pytest

from support.api_server import ApiServer
from support.binaries import MissingError, binary
from support.controller_place import cluster_without_nodes, place
from support.judge_endpoint import JudgeEndpoint, judge_endpoint
from support.judged_runs import judged_by, vague
from support.minio_server import running_minio
from support.monitored import COUNT, LEASE_SECONDS, ON_A_GPU, QUIET, Scene
from support.prometheus import objects, prometheus
from support.stub_endpoint import StubEndpoint
from support.tiny_kubelet import free_address


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    try:
        for name in ("etcd", "kube-apiserver", "kube-controller-manager", "helm"):
            binary(name)
    except MissingError as error:
        pytest.skip(str(error))
    with cluster_without_nodes(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture
async def scene(server, tmp_path) -> AsyncIterator[Scene]:
    names = ("aggregator", "dataset")
    services = {name: free_address() for name in names}
    each: dict[str, dict[str, object]] = {
        name: {"metrics_listen": address} for name, address in services.items()
    }
    each["aggregator"]["lease_seconds"] = LEASE_SECONDS
    (tmp_path / "minio").mkdir()
    with ExitStack() as stack:
        minio = stack.enter_context(running_minio(tmp_path / "minio"))
        store = minio.config(bucket=f"b-{uuid.uuid4().hex[:12]}", create_bucket=True)
        async with place(server, tmp_path, store, count=COUNT, each=each) as there:
            made = objects(there.namespace, **QUIET)
            (rule,) = (o for o in made if o["kind"] == "PrometheusRule")
            where = tmp_path / "prometheus"
            running = stack.enter_context(prometheus(where, rule["spec"]))
            controller = free_address()
            await there.controller(metrics_listen=controller)
            scene = Scene(there, running, made, services, controller, minio, stack)
            scene.look()
            yield scene


@pytest.fixture
def endpoint() -> Iterator[StubEndpoint]:
    with StubEndpoint() as running:
        yield running


@pytest.fixture
def judge() -> Iterator[JudgeEndpoint]:
    with judge_endpoint() as running:
        yield running


@pytest.fixture
def say(capsys):
    """Shows a figure, whether or not a test fails."""

    def said(line: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"{line}\n")

    return said


async def test_a_clean_run_fills_every_panel_and_rings_no_alert(
    scene, endpoint, judge, say
) -> None:
    there = scene.place
    endpoint.delay, endpoint.reply = 0.5, vague
    there.submit(endpoint.url, file=judged_by(judge, nproc=4), placement=ON_A_GPU)
    await there.until(lambda: len(there.kubelet.metrics) > 0)
    run = there.run().status["runId"]
    scene.add_others(run, next(iter(there.kubelet.metrics)))
    count = await scene.until_filled()
    say(f"queries of panels with data: {count}/{count}; alerts that rang: 0")
    await there.complete()
    found = await scene.counts(run)
    assert found["scored"] == there.run().status["tasks"][0]["scored"] == COUNT
    assert found["answered"] == sum(endpoint.asked.values()) == COUNT
    assert found["judged"] == sum(judge.bodies.values()) > 0


@pytest.fixture
async def troubled(scene, endpoint, judge) -> AsyncIterator[Scene]:
    """One run for each trouble that a run can have."""
    there, judge.refuses = scene.place, 503
    closed = f"http://{free_address()}/v1/chat/completions"
    endpoint.status = lambda sample: 400 if sample == 1 else 200
    there.submit(endpoint.url, "below")
    there.submit(closed, "down", placement=ON_A_GPU)
    endpoint.reply = vague
    there.submit(endpoint.url, "unjudged", file=judged_by(judge))
    with StubEndpoint() as slow:
        slow.delay = 300
        there.submit(slow.url, "hangs")
        there.source += ".none"
        there.submit(endpoint.url, "lost")
        yield scene


@pytest.mark.timeout(240)
async def test_every_alert_rings_for_its_fault(troubled, endpoint, say) -> None:
    there = troubled.place
    await troubled.until_rung(
        *("AssayCoverageBelowThreshold", "AssayEndpointFailing", "AssayGpuIdle"),
        *("AssayRunStalled", "AssayRunFailed", "AssayJudgeFailing"),
    )
    troubled.minio.process.kill()
    there.submit(endpoint.url, "unstored")
    await troubled.until_rung("AssayStoreErrors")
    with troubled.without_api():
        late = ("AssayLeasesExpire", "AssayWatchStale")
        await troubled.until_rung(*late, seconds=120)
    await there.controllers[0].kill()
    await troubled.until_rung("AssayNobodyActs")
    rung, known = len(troubled.rung), troubled.alerts()
    say(f"alerts that rang for their faults: {rung}/{len(known)}")
    assert troubled.rung == known
