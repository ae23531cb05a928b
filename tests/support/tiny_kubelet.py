"""What runs pods of ours without a node: the processes of a worker or a scorer, started as a pod asks.

The API server and the Job controller around it are real; it binds pods to a node that is not there, marks
them as a kubelet does, and ends their processes when they are deleted.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from socket import create_server
from typing import Any

import urllib3

from support.api_server import ADMIN, ApiServer

MODULES = {"worker": "assay.infer.main", "scorer": "assay.scorer.main"}
NODE = "tiny"
_LOOK_SECONDS = 0.2


class TinyKubelet:
    """Runs the pods of one namespace."""

    def __init__(
        self, server: ApiServer, namespace: str, *, token: str, ca: Path
    ) -> None:
        """Runs nothing yet; every process calls with this token and believes this authority."""
        self._server = server
        self._pool = server.access().pool(retries=False, timeout=20)
        self._pods = f"/api/v1/namespaces/{namespace}/pods"
        self._token = token
        self._ca = ca
        self.idle = False
        """Pods are left as they are: a node with no room."""
        self.running: dict[str, asyncio.subprocess.Process] = {}
        self.ran: list[str] = []
        """Names of all pods that ever ran, in order."""
        self.metrics: dict[str, str] = {}
        """Where each pod that serves metrics does."""
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Looks at the pods until it is cancelled."""
        while True:
            for pod in (await self._ask("GET", self._pods)).get("items") or ():
                self._mind(pod)
            await asyncio.sleep(_LOOK_SECONDS)

    def _mind(self, pod: Any) -> None:
        uid = pod["metadata"]["uid"]
        if "deletionTimestamp" in pod["metadata"]:
            process = self.running.get(uid)
            if process is not None:
                with suppress(ProcessLookupError):
                    process.terminate()
            elif uid not in self._tasks or self._tasks[uid].done():
                self._tasks[uid] = asyncio.create_task(self._remove(pod))
        elif uid not in self._tasks and not self.idle:
            self._tasks[uid] = asyncio.create_task(self._live(pod))

    async def _live(self, pod: Any) -> None:
        """From its node to its end."""
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        bind = {"metadata": {"name": name}, "target": {"kind": "Node", "name": NODE}}
        binding = {"apiVersion": "v1", "kind": "Binding", **bind}
        await self._ask("POST", f"{self._pods}/{name}/binding", binding)
        container = pod["spec"]["containers"][0]
        process = self.running[uid] = await self._start(name, container)
        self.ran.append(name)
        began = _now()
        await self._tell(pod, "Running", {"running": {"startedAt": began}})
        error = (await process.communicate())[1].decode()[-2000:]
        del self.running[uid]
        code = process.returncode or 0
        ended = {
            "exitCode": code if code >= 0 else 128 - code,
            "startedAt": began,
            "finishedAt": _now(),
            "message": error,
            "reason": "Error" if code else "Completed",
        }
        await self._tell(pod, "Failed" if code else "Succeeded", {"terminated": ended})

    async def _start(
        self, name: str, container: dict[str, Any]
    ) -> asyncio.subprocess.Process:
        (value,) = (e["value"] for e in container["env"] if e["name"] == "ASSAY_CONFIG")
        config = json.loads(value)
        for mounted in ("token_file", "api_key_file"):
            config.pop(mounted, None)
        config |= {"token": self._token, "die_with_parent": True}
        config["tls"]["ca_file"] = str(self._ca)
        if "metrics_listen" in config:
            # A pod has an address of its own, and these share one.
            config["metrics_listen"] = self.metrics[name] = free_address()
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            MODULES[container["name"]],
            "--config-env=ASSAY_CONFIG",
            env={**os.environ, "ASSAY_CONFIG": json.dumps(config)},
            stderr=asyncio.subprocess.PIPE,
        )

    async def _tell(self, pod: Any, phase: str, state: Any) -> None:
        ready = phase == "Running"
        name = pod["spec"]["containers"][0]["name"]
        container = {"name": name, "image": "tiny", "imageID": "", "restartCount": 0}
        status = {
            "phase": phase,
            "startTime": _now(),
            "containerStatuses": [{**container, "ready": ready, "state": state}],
            "conditions": [
                {"type": kind, "status": str(ready)}
                for kind in ("PodScheduled", "Ready", "ContainersReady")
            ],
        }
        path = f"{self._pods}/{pod['metadata']['name']}/status"
        await self._ask("PATCH", path, {"status": status})

    async def _remove(self, pod: Any) -> None:
        """What a kubelet says when nothing of a pod is left."""
        uid = {"uid": pod["metadata"]["uid"]}
        options = {"gracePeriodSeconds": 0, "preconditions": uid}
        await self._ask("DELETE", f"{self._pods}/{pod['metadata']['name']}", options)

    async def _ask(self, method: str, path: str, body: Any = None) -> Any:
        """The answer; what is gone, or was done before, is nobody's trouble."""
        kind = "merge-patch+json" if method == "PATCH" else "json"
        try:
            answer = await asyncio.to_thread(
                self._pool.request,
                method,
                f"{self._server.address}{path}",
                body=None if body is None else json.dumps(body),
                headers={
                    "Authorization": f"Bearer {ADMIN}",
                    "Content-Type": f"application/{kind}",
                },
            )
        except urllib3.exceptions.HTTPError:
            return {}  # The API server is away; the next look asks again.
        return answer.json()

    async def end(self) -> None:
        """Ends every process."""
        for task in self._tasks.values():
            task.cancel()
        for process in self.running.values():
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


def free_address() -> str:
    """Where nobody listens now."""
    with closing(create_server(("127.0.0.1", 0))) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@asynccontextmanager
async def tiny_kubelet(
    server: ApiServer, namespace: str, *, token: str, ca: Path
) -> AsyncIterator[TinyKubelet]:
    """One that runs until the block ends."""
    kubelet = TinyKubelet(server, namespace, token=token, ca=ca)
    task = asyncio.create_task(kubelet.run())
    try:
        yield kubelet
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await kubelet.end()
