"""Which connections come about between pods of a release, as seen from inside each of them."""

from __future__ import annotations

import json
from typing import Any

from support.cluster_installed import Release
from support.pods import Namespace, kubectl

COMPONENT = "app.kubernetes.io/component"
_SERVE = "import http.server as h; h.test(h.SimpleHTTPRequestHandler, port=8080)"
# Tries all at once, as a shut door takes two seconds to show.
_TRY = """\
import concurrent.futures as f, json, socket, sys
def tried(target):
    name, host, port = target
    try:
        socket.create_connection((host, port), timeout=2).close()
        return name, "open"
    except TimeoutError:
        return name, "shut"
    except OSError as error:
        return name, str(error)
targets = json.loads(sys.argv[1])
with f.ThreadPoolExecutor(len(targets)) as pool:
    print(json.dumps(dict(pool.map(tried, targets))))
"""


def stand_in(namespace: Namespace, release: str, component: str) -> str:
    """A pod that policies take for a part of a release; it listens on 8080."""
    name = f"{release}-{component}-door"
    namespace.pod(name, _SERVE)
    labels = {
        "app.kubernetes.io/name": "assay",
        "app.kubernetes.io/instance": release,
        COMPONENT: component,
    }
    pairs = [f"{key}={value}" for key, value in labels.items()]
    namespace.kubectl("label", f"pod/{name}", *pairs)
    return name


def targets(release: Release, model: Namespace, worker: str) -> list[Any]:
    """Everything that a pod may want to reach: name, address by number, port."""

    def service(namespace: str, name: str) -> str:
        words = ("-n", namespace, "get", f"service/{name}")
        return kubectl(*words, "-o", "jsonpath={.spec.clusterIP}")

    own = release.namespace.name
    pod = release.get(f"pod/{worker}")["status"]["podIP"]
    return [
        ("aggregator", service(own, "demo-assay-aggregator"), 8443),
        ("dataset", service(own, "demo-assay-dataset"), 8443),
        ("store", service(own, "demo-assay-minio"), 9000),
        ("API server", service("default", "kubernetes"), 443),
        ("name server", service("kube-system", "kube-dns"), 53),
        ("model", service(model.name, "digits"), 8080),
        ("a worker", pod, 8080),
    ]


def doors(namespace: Namespace, pod: str, wanted: list[Any]) -> dict[str, str]:
    """`open` or `shut` for each target, from a pod."""
    words = ("exec", pod, "--", "python", "-c", _TRY, json.dumps(wanted))
    found: dict[str, str] = json.loads(namespace.kubectl(*words))
    return found
