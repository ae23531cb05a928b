"""A real Prometheus over a release that runs: panels have data, alerts fire on their faults alone.

The API server, the Job controller, the store and our services are real; a tiny kubelet runs the pods. What
belongs to other programs (vLLM, DCGM's exporter, kube-state-metrics) is a page with their series' names.
"""

from __future__ import annotations

import signal
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

import pytest

from support.api_server import ApiServer
from support.binaries import MissingError, binary
from support.controller_place import Place, cluster_without_nodes, place
from support.judge_endpoint import JudgeEndpoint, judge_endpoint
from support.judged_runs import judged_by, vague
from support.local_runs import MODEL
from support.minio_server import MinioServer, running_minio
from support.prometheus import Prometheus, exporter, objects, panels, prometheus
from support.stub_endpoint import StubEndpoint
from support.tiny_kubelet import free_address

COUNT = 40
LEASE_SECONDS = 12.0
QUIET = {
    "stalledSeconds": 6,
    "endpointSeconds": 3,
    "watchSeconds": 75,
    "window": "10s",
    "expiries": 0,
    "storeErrors": 0,
    "leaderless": "10s",
}
"""Thresholds that a test can wait for; a release's own are minutes."""
ON_A_GPU = {"models": {MODEL: {"resources": {"limits": {"nvidia.com/gpu": "1"}}}}}
OTHERS = """\
vllm:num_requests_running{NAMES} 3
vllm:num_requests_waiting{NAMES} 1
vllm:generation_tokens_total{NAMES} 900
vllm:kv_cache_usage_perc{NAMES} 0.4
DCGM_FI_DEV_GPU_UTIL{NAMES,gpu="0"} 93
kube_pod_labels{NAMES,label_assay_dev_run="RUN"} 1
kube_pod_status_phase{NAMES,phase="Running"} 1
"""


@dataclass
class Scene:
    """A release, its metrics, and the Prometheus that reads them."""

    place: Place
    prometheus: Prometheus
    made: list[dict[str, object]]
    services: dict[str, str]
    controller: str
    minio: MinioServer
    others: ExitStack
    more: dict[str, dict[str, str]] = field(default_factory=dict)
    rung: set[str] = field(default_factory=set)

    def look(self) -> None:
        """Has every pod scraped that there is now, as the operator's monitors would."""
        here = {"namespace": self.place.namespace}
        told = {a: {**here, "pod": name} for name, a in self.services.items()}
        told[self.controller] = {**here, "pod": "controller-0"}
        pods = self.place.kubelet.metrics
        told |= {a: {**here, "pod": name} for name, a in pods.items()}
        self.prometheus.watch(told | self.more)

    def add_others(self, run: str, pod: str) -> None:
        """Other programs tell of a pod of a run as well."""
        names = f'namespace="{self.place.namespace}",pod="{pod}"'
        page = OTHERS.replace("NAMES", names).replace("RUN", run)
        self.more[self.others.enter_context(exporter(page))] = {}

    @contextmanager
    def without_api(self) -> Iterator[Callable[[], None]]:
        """Gives what stops the API server, and every worker as a hanging node would, until the block ends."""
        workers = self.place.kubelet.running

        def stop() -> None:
            self.place.server.process.send_signal(signal.SIGSTOP)
            for process in workers.values():
                process.send_signal(signal.SIGSTOP)

        try:
            yield stop
        finally:
            self.place.server.process.send_signal(signal.SIGCONT)

    async def until_rung(self, *alerts: str, seconds: float = 60) -> None:
        """Returns when each of these alerts has fired."""

        def rang() -> bool:
            self.look()
            self.rung |= self.prometheus.firing()
            return set(alerts) <= self.rung

        try:
            await self.prometheus.until(rang, seconds)
        except TimeoutError:
            raise AssertionError(set(alerts) - self.rung) from None


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


def as_grafana(query: str, place: Place) -> str:
    """A panel's query with its variables filled in."""
    filled = query.replace("$namespace", place.namespace).replace("$run", ".*")
    return filled.replace("$__range_s", "60").replace("$__range", "1m")


async def test_a_clean_run_fills_every_panel_and_rings_no_alert(
    scene, endpoint, judge, capsys
) -> None:
    there, asked = scene.place, scene.prometheus
    endpoint.delay, endpoint.reply = 0.5, vague
    there.submit(endpoint.url, file=judged_by(judge, nproc=4), placement=ON_A_GPU)
    await there.until(lambda: len(there.kubelet.metrics) > 0)
    run = there.run().status["runId"]
    scene.add_others(run, next(iter(there.kubelet.metrics)))
    scene.look()
    empty = {(name, as_grafana(query, there)) for name, query in panels(scene.made)}
    count = len(empty)

    def all_filled() -> bool:
        scene.look()
        assert not asked.firing()
        empty.difference_update({each for each in empty if asked.query(each[1])})
        return not empty

    with suppress(TimeoutError):
        await asked.until(all_filled, 40)
    assert not empty, "\n".join(f"{n}: {q}" for n, q in sorted(empty))
    await there.complete()
    report = there.run().status["tasks"][0]
    scored = f'assay_samples{{run="{run}",state="scored"}}'
    await asked.until(lambda: asked.value(scored) == COUNT, 20)
    assert asked.value(scored) == report["scored"] == COUNT
    answers = f'assay_completions_total{{run="{run}",result="answered",stage="infer"}}'
    assert asked.value(answers) == sum(endpoint.asked.values()) == COUNT
    replies = f'assay_judge_requests{{run="{run}",result="answered"}}'
    assert asked.value(replies) == sum(judge.bodies.values()) > 0
    with capsys.disabled():
        sys.stdout.write(f"queries of panels with data: {count}/{count}; alerts: 0\n")


@pytest.mark.timeout(240)
async def test_every_alert_rings_for_its_fault(scene, endpoint, judge, capsys) -> None:
    """All at once: each fault is of a run, or of a part, of its own."""
    there = scene.place
    closed = f"http://{free_address()}/v1/chat/completions"
    endpoint.status = lambda sample: 400 if sample == 1 else 200
    there.submit(endpoint.url, "below")
    there.submit(closed, "down", placement=ON_A_GPU)
    judge.refuses = 503
    endpoint.reply = vague
    there.submit(endpoint.url, "unjudged", file=judged_by(judge))
    with StubEndpoint() as slow, scene.without_api() as stopped:
        slow.delay = 300
        there.submit(slow.url, "hangs")
        there.source += ".none"
        there.submit(endpoint.url, "lost")
        await scene.until_rung(
            *("AssayCoverageBelowThreshold", "AssayEndpointFailing", "AssayGpuIdle"),
            *("AssayRunStalled", "AssayRunFailed", "AssayJudgeFailing"),
        )
        scene.minio.process.kill()
        there.submit(endpoint.url, "unstored")
        await scene.until_rung("AssayStoreErrors")
        stopped()
        late = ("AssayLeasesExpire", "AssayWatchStale")
        await scene.until_rung(*late, seconds=120)
    await there.controllers[0].kill()
    await scene.until_rung("AssayNobodyActs")
    (rule,) = (o for o in scene.made if o["kind"] == "PrometheusRule")
    known = {each["alert"] for each in rule["spec"]["groups"][0]["rules"]}
    with capsys.disabled():
        sys.stdout.write(
            f"alerts that rang for their faults: {len(scene.rung)}/{len(known)}\n"
        )
    assert scene.rung == known
