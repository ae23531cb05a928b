"""Pods of the worker's image that run a line of Python, and kubectl for the tests of a cluster."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import Any

from support.cluster_images import image

IMAGE = image("worker")
_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
_SERVE = "import http.server as h; h.test(h.SimpleHTTPRequestHandler, port=8080)"
# Prints `open` where a connection comes about within two seconds, `shut` where none does.
_TRY = """\
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=2)
    print("open")
except OSError as error:
    print("shut" if isinstance(error, TimeoutError) else error)
"""


def kubectl(*words: str, given: str | None = None, seconds: float = 90) -> str:
    """What kubectl prints.

    Raises:
        AssertionError: it failed; the message is its own.
    """
    done = subprocess.run(
        ["kubectl", *words],
        input=given,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"kubectl {' '.join(words)}: {done.stderr}")
    return done.stdout


@dataclass(frozen=True)
class Namespace:
    """A namespace under Pod Security `restricted`."""

    name: str

    def create(self) -> None:
        """Makes it."""
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        meta = {"name": self.name, "labels": labels}
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})

    def delete(self) -> None:
        """Asks for its end; nobody waits for it.

        Jobs go first: a namespace that ends takes pods before Jobs, and a Job with a limit per index keeps
        its failed pod until another one replaces it, which such a namespace admits no more.
        """
        kubectl("delete", "jobs", "--all", "-n", self.name, "--wait=false")
        kubectl("delete", "namespace", self.name, "--wait=false")

    def kubectl(self, *words: str) -> str:
        """What kubectl prints about this namespace."""
        return kubectl("-n", self.name, *words)

    def apply(self, *objects: dict[str, Any]) -> None:
        """Creates objects, or changes them."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        kubectl("apply", "-n", self.name, "-f", "-", given=json.dumps(listed))

    def pod(self, name: str, code: str, **resources: str) -> None:
        """Starts a pod that runs a line of Python."""
        container = {
            "name": "main",
            "image": IMAGE,
            "command": ["python", "-c", code],
            "workingDir": "/tmp",
            "securityContext": _SECURITY,
            "resources": {"limits": resources},
        }
        spec = {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
        }
        meta = {"name": name, "labels": {"app": name}}
        self.apply({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})

    def server(self, name: str) -> None:
        """Starts a pod that answers on port 8080, with a Service of the same name."""
        self.pod(name, _SERVE)
        port = {"port": 8080}
        self.apply(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name},
                "spec": {"selector": {"app": name}, "ports": [port]},
            }
        )

    def ready(self, *names: str) -> None:
        """Waits until the pods run."""
        pods = [f"pod/{name}" for name in names]
        self.kubectl("wait", "--for=condition=Ready", "--timeout=60s", *pods)

    def reaches(self, pod: str, host: str, port: int = 8080) -> str:
        """`open` or `shut`, as seen from a pod."""
        words = ("exec", pod, "--", "python", "-c", _TRY, host, str(port))
        return self.kubectl(*words).strip()
