"""A release without nodes: a real API server and Job controller, our services over a bucket, controllers.

Pods are run by `tiny_kubelet`. Tests submit EvalRuns and look at what becomes of them.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import msgspec
import yaml

from assay.kube.api import KubeApi
from assay.kube.lease import Lease
from assay.kube.objects import KubeObject
from assay.kube.resources import (
    DEFINITIONS,
    EVAL_RUNS,
    EVENTS,
    JOBS,
    LEASES,
    NAMESPACES,
)
from assay.kube.transport import Transport
from assay.process.contract import ChannelTls, S3StoreConfig
from assay.rpc.callers import Role
from assay.rpc.channel import open_channel
from assay.rpc.run_client import RunClient
from support.api_server import CONTROLLER, ApiServer, running_api_server
from support.binaries import binary
from support.bucket_services import TOKEN, Services
from support.charts import CHART
from support.local_runs import DATASET, MODEL, write_dataset
from support.tiny_kubelet import TinyKubelet, tiny_kubelet

RELEASE = "demo"
AWAIT_SECONDS = 60
LEASE_SECONDS = 4
_CONTROLLERS = "job-controller,garbage-collector-controller"


class Whole(KubeObject, frozen=True, kw_only=True):
    """Any object, with all that it says."""

    spec: dict[str, Any] = msgspec.field(default_factory=dict)
    status: dict[str, Any] = msgspec.field(default_factory=dict)
    reason: str = ""
    note: str = ""


@contextmanager
def cluster_without_nodes(folder: Path) -> Iterator[ApiServer]:
    """An API server that knows EvalRuns, and what makes pods of Jobs and takes orphans away."""
    with running_api_server(folder) as server:
        api = KubeApi(Transport(server.access()))
        definition = yaml.safe_load((CHART / "crds/evalruns.yaml").read_text())
        api.create(DEFINITIONS, definition, of=KubeObject)
        command = [
            str(binary("kube-controller-manager")),
            f"--kubeconfig={server.kubeconfig(name='manager')}",
            f"--controllers={_CONTROLLERS}",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            "--secure-port=0",
        ]
        with (folder / "manager.log").open("wb") as log:
            manager = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        try:
            yield server
        finally:
            manager.kill()
            manager.wait(10)


@dataclass
class ControllerProcess:
    """One controller."""

    process: asyncio.subprocess.Process
    log: Path

    def lines(self) -> list[dict[str, Any]]:
        """What it has logged."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    async def kill(self) -> None:
        """As a lost node would end it."""
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        """As a rollout ends it; returns its exit code."""
        self.process.terminate()
        async with asyncio.timeout(AWAIT_SECONDS):
            return await self.process.wait()


@dataclass
class Place:
    """One namespace and everything of a release in it."""

    server: ApiServer
    namespace: str
    folder: Path
    services: Services
    kubelet: TinyKubelet
    api: KubeApi
    source: str
    stack: AsyncExitStack
    controllers: list[ControllerProcess] = field(default_factory=list)

    # The release.

    async def controller(self, **config: Any) -> ControllerProcess:
        """Starts one more."""
        account = self.folder / "account"
        if not account.exists():
            account.mkdir()
            (account / "token").write_text(CONTROLLER)
            (account / "namespace").write_text(self.namespace)
            (account / "ca.crt").write_bytes(
                (self.server.folder / "ca.crt").read_bytes()
            )
        log = self.folder / f"controller-{len(self.controllers)}.log"
        log.touch()
        host, port = self.server.address.removeprefix("https://").split(":")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "assay.controller.main",
            "--config-env=ASSAY_CONFIG",
            env={
                **os.environ,
                "ASSAY_CONFIG": json.dumps(self._config(account, log) | config),
                "KUBERNETES_SERVICE_HOST": host,
                "KUBERNETES_SERVICE_PORT": port,
            },
        )
        self.stack.push_async_callback(_end, process)
        made = ControllerProcess(process, log)
        self.controllers.append(made)
        return made

    def _config(self, account: Path, log: Path) -> dict[str, Any]:
        where = f"system:serviceaccount:{self.namespace}:demo-assay"
        return {
            "token": TOKEN,
            "die_with_parent": True,
            "log_file": str(log),
            "tls": tls_of(self.server),
            "callers": {
                "issuer": "https://kubernetes.default.svc",
                "keys_url": f"{self.server.address}/openid/v1/jwks",
                "platform": f"{self.namespace}/{RELEASE}",
                "accounts": {role: f"{where}-{role}" for role in Role},
            },
            "namespace": self.namespace,
            "release": RELEASE,
            "aggregator": self.services.aggregator,
            "datasets": self.services.dataset,
            "tls_secret": "demo-assay-tls",
            "images": {
                kind: f"assay/{kind}:1" for kind in ("worker", "judge", "scorer")
            },
            "lease": "demo-assay-controller",
            "lease_seconds": LEASE_SECONDS,
            "service_account": str(account),
            "store": "s3://bucket/of/the/tests",
        }

    # EvalRuns.

    def submit(self, url: str, name: str = "eval", **changes: Any) -> None:
        """Has an EvalRun asked for, or asks for another spec of it."""
        body = {
            "metadata": {
                "name": name,
                "labels": {"app.kubernetes.io/instance": RELEASE},
            },
            "spec": self.spec(url, **changes),
        }
        self.api.apply(
            EVAL_RUNS,
            name,
            body,
            self.namespace,
            of=KubeObject,
            manager="tests",
            force=True,
        )

    def spec(self, url: str, *, file: Any = None, **spec: Any) -> dict[str, Any]:
        """What it asks for: one model on one dataset; `file` goes into its eval_config."""
        model = {"type": MODEL, "name": "CustomAPIModel", "wait": 0.01}
        # A pod's own address would be refused.
        model["api_base"] = url.replace("127.0.0.1", "0.0.0.0")
        return {
            "file": {
                "eval_backend": "VLMEvalKit",
                "dataset_sources": {DATASET: {"url": self.source}},
                "eval_config": {
                    "model": [model],
                    "data": [DATASET],
                    "judge": "exact_matching",
                    "nproc": 8,
                    "retry": 2,
                    **(file or {}),
                },
            },
            **spec,
        }

    def run(self, name: str = "eval") -> Whole:
        """An EvalRun as it is."""
        return self.api.get(EVAL_RUNS, name, self.namespace, of=Whole)

    def condition(self, kind: str, name: str = "eval") -> tuple[str, str]:
        """What one of its conditions says."""
        told = self.run(name).status.get("conditions") or ()
        found = {c["type"]: (c["status"], c["reason"]) for c in told}
        return found.get(kind, ("", ""))

    def jobs(self) -> dict[str, Whole]:
        """All Jobs, by name."""
        listed = self.api.list(JOBS, self.namespace, of=Whole).items
        return {job.metadata.name: job for job in listed}

    def calls(self, *verbs: str) -> list[dict[str, Any]]:
        """What controllers asked of the API server about this namespace."""
        return [
            call
            for call in self.server.calls_of_controller()
            if call["objectRef"].get("namespace") == self.namespace
            and (not verbs or call["verb"] in verbs)
        ]

    def holder(self) -> str:
        """Who has the Lease; empty: nobody."""
        lease = self.api.get(LEASES, "demo-assay-controller", self.namespace, of=Lease)
        return lease.holder

    async def client(self, run_id: str) -> RunClient:
        """Calls about a run, as a command line makes them."""
        tls = ChannelTls.model_validate(tls_of(self.server))
        channel = open_channel(self.services.aggregator, TOKEN, tls)
        return RunClient(await self.stack.enter_async_context(channel), run_id=run_id)

    def running(self) -> list[str]:
        """Jobs that have not ended."""
        jobs = self.jobs().items()
        return [name for name, job in jobs if not job.status.get("conditions")]

    def answered(self, name: str = "eval") -> int:
        """Samples of an EvalRun's first task that have an answer."""
        tasks = self.run(name).status.get("tasks") or [{}]
        return int(tasks[0].get("answered", 0))

    def delete(self, name: str = "eval") -> None:
        """Deletes an EvalRun."""
        self.api.delete(EVAL_RUNS, name, self.namespace)

    def events(self) -> list[str]:
        """Reasons of all Events."""
        listed = self.api.list(EVENTS, self.namespace, of=Whole).items
        return [e.reason for e in listed]

    async def until(
        self, holds: Callable[[], bool], seconds: float = AWAIT_SECONDS
    ) -> None:
        """Returns when it holds.

        Raises:
            AssertionError: it did not in time; with what is there.
        """
        try:
            async with asyncio.timeout(seconds):
                while not await asyncio.to_thread(holds):  # noqa: ASYNC110 - the API server's
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(self._all()) from None

    async def complete(self, name: str = "eval") -> None:
        """Returns when an EvalRun is Complete."""
        await self.until(lambda: self.condition("Complete", name)[0] == "True")

    def _all(self) -> str:
        runs = self.api.list(EVAL_RUNS, self.namespace, of=Whole).items
        said = [line for c in self.controllers for line in c.lines()[-30:]]
        told = [run.status for run in runs]
        return json.dumps([told, sorted(self.jobs()), said], indent=1)


def tls_of(server: ApiServer) -> dict[str, str]:
    """How our services are known: they show the API server's own certificate."""
    return {
        "ca_file": str(server.folder / "ca.crt"),
        "server_name": "kubernetes.default.svc",
    }


@asynccontextmanager
async def place(
    server: ApiServer,
    folder: Path,
    store: S3StoreConfig,
    *,
    count: int,
    each: Mapping[str, dict[str, object]] = {},
) -> AsyncIterator[Place]:
    """A new namespace with running services; its dataset has `count` samples.

    Args:
        server: the API server.
        folder: for files of the release.
        store: where it keeps what it has.
        count: of samples.
        each: more of the config of a service, by its name.
    """
    namespace = f"n-{uuid4().hex[:8]}"
    api = KubeApi(Transport(server.access()))
    api.create(NAMESPACES, {"metadata": {"name": namespace}}, of=KubeObject)
    certificate = {
        "certificate_file": str(server.folder / "api.crt"),
        "key_file": str(server.folder / "api.key"),
    }
    (folder / "data").mkdir()
    write_dataset(folder / "data" / f"{DATASET}.tsv", count)
    async with AsyncExitStack() as stack:
        source = stack.enter_context(_files(folder / "data"))
        services = Services(stack, folder, store, server_tls=certificate)
        services.each.update(each)
        await services.start_dataset()
        await services.start_aggregator()
        kubelet = await stack.enter_async_context(
            tiny_kubelet(server, namespace, token=TOKEN, ca=server.folder / "ca.crt")
        )
        yield Place(
            server,
            namespace,
            folder,
            services,
            kubelet,
            api,
            f"{source}/{DATASET}.tsv",
            stack,
        )


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """Says nothing."""


@contextmanager
def _files(folder: Path) -> Iterator[str]:
    """Serves a folder; gives its address."""

    class Handler(_Quiet):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(folder))

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        thread = Thread(target=served.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{served.server_port}"
        finally:
            served.shutdown()
            thread.join()


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()
