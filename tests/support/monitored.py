"""A release without nodes, its metrics, and the real Prometheus that reads them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from support.controller_place import Place
from support.local_runs import MODEL
from support.minio_server import MinioServer
from support.prometheus import Prometheus, exporter, panels

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
    made: list[dict[str, Any]]
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
    def without_api(self) -> Iterator[None]:
        """Meanwhile the API server answers nobody, and every worker hangs, as on a node that does."""
        server = self.place.server.process
        for process in (server, *self.place.kubelet.running.values()):
            process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            server.send_signal(signal.SIGCONT)

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

    async def until_filled(self) -> int:
        """Returns how many queries of panels there are once each has had data, and no alert has fired.

        Raises:
            AssertionError: an alert fired, or some query never had any.
        """
        empty = {(name, self._filled(query)) for name, query in panels(self.made)}
        count = len(empty)

        def all_filled() -> bool:
            self.look()
            assert not self.prometheus.firing()
            found = {each for each in empty if self.prometheus.query(each[1])}
            empty.difference_update(found)
            return not empty

        with suppress(TimeoutError):
            await self.prometheus.until(all_filled, 40)
        assert not empty, "\n".join(f"{n}: {q}" for n, q in sorted(empty))
        return count

    def _filled(self, query: str) -> str:
        """A panel's query with Grafana's variables filled in."""
        filled = query.replace("$namespace", self.place.namespace).replace("$run", ".*")
        return filled.replace("$__range_s", "60").replace("$__range", "1m")

    def alerts(self) -> set[str]:
        """All that the chart knows."""
        (rule,) = (o for o in self.made if o["kind"] == "PrometheusRule")
        return {each["alert"] for each in rule["spec"]["groups"][0]["rules"]}

    async def counts(self, run: str) -> dict[str, float]:
        """What Prometheus says of a run once all of it is scored."""
        wanted = {
            "scored": f'assay_samples{{run="{run}",state="scored"}}',
            "answered": f'assay_completions_total{{run="{run}",result="answered",stage="infer"}}',
            "judged": f'assay_judge_requests{{run="{run}",result="answered"}}',
        }
        ask = self.prometheus.value
        await self.prometheus.until(lambda: ask(wanted["scored"]) == COUNT, 20)
        return {name: ask(query) for name, query in wanted.items()}
