"""The controller, the dataset service and workers count what they do, for Prometheus to scrape."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from assay.controller.metrics import ControllerMetrics, devices_of
from assay.controller.workloads import Pod
from assay.dataset.metrics import PrepareMetrics
from assay.domain.errors import DatasetError, UnavailableError
from assay.kube.transport import Call
from assay.worker.loop import WorkerSnapshot
from assay.worker.metrics import WorkerCollector
from support.scraped import one, scraped

LABELS = {"run": "r", "model_name": "m", "stage": "infer"}


def test_a_worker_tells_its_requests_by_how_they_ended():
    seen = WorkerSnapshot(
        in_flight=3,
        held=9,
        committed=5,
        requests=12,
        draining=False,
        limit=4,
        results={"answered": 10, "rate_limited": 2},
    )
    registry = CollectorRegistry()
    labels = {"run_id": "r", "model": "m", "stage": "infer"}
    registry.register(WorkerCollector(lambda: seen, **labels))
    found = scraped(registry)
    for result, count in seen.results.items():
        name = "assay_worker_requests_total"
        assert one(found, name, result=result, **LABELS) == count
    assert one(found, "assay_worker_in_flight", **LABELS) == 3
    assert one(found, "assay_worker_in_flight_limit", **LABELS) == 4


async def test_a_preparation_counts_once_however_it_ends():
    registry = CollectorRegistry()
    metrics = PrepareMetrics(registry)

    async def failing():
        raise DatasetError("no such file")

    for work in (asyncio.sleep(0), failing()):
        metrics.began()
        task = asyncio.create_task(work)
        await asyncio.wait([task])
        metrics.ended(task, 0.1)
    found = scraped(registry)
    name = "assay_dataset_prepare_seconds_count"
    assert one(found, name, result="ready") == 1
    assert one(found, name, result="dataset_unusable") == 1
    assert one(found, "assay_datasets_preparing") == 0


def test_a_look_of_the_controller_is_timed_and_its_failure_counted():
    metrics = ControllerMetrics()
    with metrics.looking():
        pass
    with pytest.raises(UnavailableError), metrics.looking():
        raise UnavailableError("the aggregator is away")
    metrics.called(Call("list", "pods", 200, 0.1))
    metrics.restarted("pods", "gone")
    found = scraped(metrics.registry)
    assert one(found, "assay_reconcile_seconds_count") == 2
    assert one(found, "assay_reconcile_errors_total", reason="unavailable") == 1
    assert one(found, "assay_api_requests_total", status="200", verb="list") == 1
    assert one(found, "assay_watch_restarts_total", resource="pods", reason="gone") == 1


def a_pod(phase, scheduled="True"):
    container = {"name": "engine", "resources": {"limits": {"nvidia.com/gpu": "2"}}}
    worker = {"name": "worker", "resources": {"limits": {"memory": "1Gi"}}}
    return msgspec.convert(
        {
            "metadata": {"name": "p"},
            "spec": {"initContainers": [container], "containers": [worker]},
            "status": {
                "phase": phase,
                "conditions": [{"type": "PodScheduled", "status": scheduled}],
            },
        },
        Pod,
    )


def test_a_pod_holds_its_gpus_from_its_node_to_its_end():
    assert devices_of(a_pod("Pending", scheduled="False")) == {}
    assert devices_of(a_pod("Pending")) == {"nvidia.com/gpu": 2}
    assert devices_of(a_pod("Running")) == {"nvidia.com/gpu": 2}
    assert devices_of(a_pod("Succeeded")) == {}
