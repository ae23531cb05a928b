"""A release of the chart in a namespace, and what tests ask of it: conditions, results, pods, writes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import yaml
from minio import Minio

from assay.store.segments import decode_segment
from cluster.onenode.place import here
from support.charts import CHART
from support.cluster_digits import comparable
from support.cluster_images import platform
from support.pods import Namespace, kubectl

PLATFORM = platform()
_HELM_SECONDS = 150
_POLL_SECONDS = 0.25
_FORWARDED = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")


@dataclass(frozen=True)
class Release:
    """One release; its EvalRuns bear its label."""

    namespace: Namespace
    name: str = "demo"

    def helm(self, verb: str, *words: str, values: dict[str, Any] | None = None) -> str:
        """`helm VERB NAME …` with these values over the platform's."""
        command = ["helm", *verb.split(), self.name, *words, "-n", self.namespace.name]
        if values is not None:
            command += ["-f", "-"]
        done = subprocess.run(
            command,
            input=json.dumps(PLATFORM | values) if values is not None else None,
            capture_output=True,
            text=True,
            timeout=_HELM_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{done.stderr}\n{self.told()}"
        return done.stdout

    def objects(self) -> set[str]:
        """Kinds and names of what Helm keeps for it."""
        told = yaml.safe_load_all(self.helm("get manifest"))
        return {f"{o['kind']}/{o['metadata']['name']}" for o in told if o}

    def install(self, **values: Any) -> None:
        """`helm install --wait`."""
        self.helm("install", str(CHART), "--wait", "--timeout=120s", values=values)

    def upgrade(self, **values: Any) -> None:
        """`helm upgrade` to these values."""
        self.helm("upgrade", str(CHART), values=values)

    def submit(self, name: str, file: dict[str, Any], **spec: Any) -> None:
        """Writes an EvalRun beside the release's own."""
        labels = {"app.kubernetes.io/instance": self.name}
        meta = {"name": name, "labels": labels}
        kind = {"apiVersion": "assay.dev/v1alpha1", "kind": "EvalRun"}
        self.namespace.apply({**kind, "metadata": meta, "spec": {"file": file, **spec}})

    def get(self, what: str, *words: str) -> Any:
        """An object, or a list, as it is."""
        return json.loads(self.namespace.kubectl("get", what, *words, "-o", "json"))

    def status(self, run: str = "demo") -> dict[str, Any]:
        """The status of an EvalRun."""
        return self.get(f"evalrun/{run}").get("status", {})

    def run_id(self, run: str = "demo") -> str:
        """Its current execution."""
        return str(self.status(run)["runId"])

    def condition(self, kind: str, run: str = "demo") -> dict[str, Any]:
        """One condition of an EvalRun; empty: it has none."""
        listed = self.status(run).get("conditions", [])
        return next((c for c in listed if c["type"] == kind), {})

    def wait(self, run: str = "demo", condition: str = "Complete", seconds: int = 200):
        """`kubectl wait` for a condition; what the cluster knows stands in the failure."""
        words = (f"evalrun/{run}", f"--for=condition={condition}")
        self.until(f"{run} is looked at", lambda: self.seen(run))
        try:
            kubectl(
                *("-n", self.namespace.name, "wait", *words),
                f"--timeout={seconds}s",
                seconds=seconds + 10,
            )
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.told()}") from None

    def seen(self, run: str = "demo") -> bool:
        """Whether the status speaks of the EvalRun as it is now."""
        item = self.get(f"evalrun/{run}")
        told = item.get("status", {}).get("observedGeneration")
        return bool(told == item["metadata"]["generation"])

    def until(self, what: str, holds: Callable[[], Any], seconds: float = 120) -> Any:
        """Waits for the cluster; returns what `holds` says once it is true."""
        end = time.monotonic() + seconds
        while not (found := holds()):
            assert time.monotonic() < end, f"never happened: {what}\n{self.told()}"
            time.sleep(_POLL_SECONDS)
        return found

    def pods(self, component: str, *, running: bool = False) -> list[dict[str, Any]]:
        """The pods of a part that are not on their way out."""
        label = f"app.kubernetes.io/component={component},app.kubernetes.io/instance={self.name}"
        found = self.get("pods", "-l", label)["items"]
        return [
            pod
            for pod in found
            if "deletionTimestamp" not in pod["metadata"]
            and (not running or pod["status"]["phase"] == "Running")
        ]

    def results(self, run_id: str) -> dict[str, bytes]:
        """Sample tables and metrics of an execution, straight from the bucket."""
        root = f"{self.namespace.name}/{self.name}/runs/{run_id}/results/"
        with self.bucket() as client:
            names = [
                o.object_name
                for o in client.list_objects("assay", root, recursive=True)
            ]
            wanted = [n for n in names if comparable(n.removeprefix(root))]
            return {
                n.removeprefix(root): client.get_object("assay", n).data for n in wanted
            }

    def durable(self, run_id: str) -> set[str]:
        """What is committed of an execution: `<model> <dataset> <ordinal>` for each answer."""
        root = f"{self.namespace.name}/{self.name}/runs/{run_id}/tasks/"
        found = set()
        with self.bucket() as client:
            for item in client.list_objects("assay", root, recursive=True):
                name = item.object_name
                if name.endswith(".seg"):
                    model, table = name.removeprefix(root).split("/")[:2]
                    data = client.get_object("assay", name).data
                    for placed in decode_segment(data, name).records:
                        ordinal = placed.record.completion.ordinal
                        found.add(f"{model} {table} {ordinal}")
        return found

    def kept(self, below: str) -> dict[str, str]:
        """Objects of the store below a place of this release, and when each was written."""
        root = f"{self.namespace.name}/{self.name}/"
        with self.bucket() as client:
            found = client.list_objects("assay", root + below, recursive=True)
            return {o.object_name: str(o.last_modified) for o in found}

    @contextmanager
    def bucket(self) -> Iterator[Minio]:
        """The store's own client, through a forwarded port."""
        secret = self.get(f"secret/{self.name}-assay-store")["data"]
        pod = f"pod/{self.name}-assay-minio-0"
        with forwarded(self.namespace, pod, 9000) as port:
            yield Minio(
                f"127.0.0.1:{port}",
                _decoded(secret["access-key"]),
                _decoded(secret["secret-key"]),
                secure=False,
            )

    def events(self, about: str = "EvalRun") -> list[str]:
        """Reasons of the Events about a kind of object, the oldest first."""
        found = self.get("events.events.k8s.io")["items"]
        about_it = [e for e in found if e["regarding"]["kind"] == about]
        about_it.sort(key=lambda e: e.get("eventTime") or "")
        return [e["reason"] for e in about_it]

    def kill(self, pod: dict[str, Any], container: str) -> None:
        """SIGKILL to the container's first process, from outside: nothing in a pod can kill it."""
        statuses = pod["status"]["containerStatuses"]
        (known,) = [s["containerID"] for s in statuses if s["name"] == container]
        socket = str(here().containerd_socket)
        words = ["task", "kill", "-s", "SIGKILL", known.removeprefix("containerd://")]
        command = ["ctr", "-a", socket, "-n", "k8s.io", *words]
        subprocess.run(command, check=True, capture_output=True, timeout=30)

    def told(self) -> str:
        """What a person would look at: EvalRuns, pods, events, and the ends of logs."""
        kubectl = self.namespace.kubectl
        parts = [
            kubectl("get", "evalruns,jobs,pods", "-o", "wide"),
            kubectl("get", "evalruns", "-o", "jsonpath={.items[*].status}"),
            "\n".join(kubectl("events").splitlines()[-25:]),
        ]
        for pod in kubectl("get", "pods", "-o", "name").split():
            try:
                said = kubectl("logs", pod, "--all-containers", "--tail=12")
            except AssertionError as error:
                said = str(error)
            parts.append(f"--- {pod}\n{said[-3000:]}")
        return "\n".join(parts)


def at_hand() -> bool:
    """Whether the node is this machine: only then can its record of writes and its containers be had."""
    return os.environ.get("KUBECONFIG") == str(here().kubeconfig())


@contextmanager
def disk(name: str) -> Iterator[dict[str, Any]]:
    """Values for a demo store whose volume outlives its pod: the node's, or of the default class."""
    if not at_hand():
        yield {"store": {"demo": PLATFORM["store"]["demo"] | {"storageClass": ""}}}
        return
    folder = here().root / f"disk-{name}"
    folder.mkdir()
    folder.chmod(0o777)
    host = {"key": "kubernetes.io/hostname", "operator": "Exists"}
    spec = {
        "capacity": {"storage": "20Gi"},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": name,
        "local": {"path": str(folder)},
        "nodeAffinity": {
            "required": {"nodeSelectorTerms": [{"matchExpressions": [host]}]}
        },
    }
    volume = {"apiVersion": "v1", "kind": "PersistentVolume"}
    whole = {**volume, "metadata": {"name": name}, "spec": spec}
    kubectl("apply", "-f", "-", given=json.dumps(whole))
    try:
        demo = PLATFORM["store"]["demo"] | {"storageClass": name}
        yield {"store": {"demo": demo}}
    finally:
        kubectl("delete", "pv", name, "--wait=false")


@contextmanager
def forwarded(namespace: Namespace, target: str, port: int) -> Iterator[int]:
    """A port of this machine that leads to a pod's."""
    command = ["kubectl", "-n", namespace.name, "port-forward", target, f":{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as forward:
        try:
            found = _FORWARDED.match(forward.stdout.readline())
            assert found, f"no port of {target} is forwarded"
            yield int(found[1])
        finally:
            forward.kill()


def writes(namespace: str, since: datetime) -> Counter[str]:
    """What was written in a namespace, by whom and of which kind: the API server's own record.

    Leases, which are renewed by the clock, are not counted.
    """
    told: Counter[str] = Counter()
    for line in here().audit.read_text().splitlines():
        entry = json.loads(line)
        about = entry.get("objectRef", {})
        when = datetime.fromisoformat(entry["requestReceivedTimestamp"])
        if about.get("namespace") != namespace or when < since:
            continue
        if about["resource"] not in {"leases", "serviceaccounts"}:
            who = entry["user"]["username"].rpartition(":")[2]
            sub = f"/{about['subresource']}" if "subresource" in about else ""
            told[f"{who} {entry['verb']} {about['resource']}{sub}"] += 1
    return told


def now() -> datetime:
    """To count from."""
    return datetime.now(UTC)


def _decoded(value: str) -> str:
    return b64decode(value).decode()
