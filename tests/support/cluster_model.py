"""A model and a dataset inside the cluster, from nothing but the worker's image: a stub that can be mended.

Pods of the namespace ask it by its Service; a dataset's TSV lies beside it.
"""

from __future__ import annotations

import base64
import io
from typing import Any

from PIL import Image

from support.pods import IMAGE, Namespace

ROWS = 12
REFUSED = 3
"""So many of them a broken model refuses; all of them would be the endpoint's failure."""

_SERVER = """\
import http.server, json, os
BROKEN = "/tmp/broken"
class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def do_POST(self):
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        broken = b"Which 1" in asked and os.path.exists(BROKEN)
        said = {"role": "assistant", "content": "A"}
        choice = {"index": 0, "message": said, "finish_reason": "stop"}
        found = {"error": "not now"} if broken else {"choices": [choice]}
        data = json.dumps(found).encode()
        self.send_response(400 if broken else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
os.chdir("/data")
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""


def _picture(shade: int) -> str:
    out = io.BytesIO()
    Image.new("RGB", (16, 16), (shade, 0, 0)).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def table() -> str:
    """A multiple-choice TSV whose right answer is always A."""
    lines = ["index\timage\tquestion\tA\tB\tanswer\tcategory"]
    lines += [
        f"{n}\t{_picture(n)}\tWhich {n}?\tthis\tthat\tA\tall" for n in range(ROWS)
    ]
    return "\n".join(lines) + "\n"


def start(namespace: Namespace, name: str = "model") -> None:
    """Starts both, and returns once they answer."""
    data = {"metadata": {"name": name}, "data": {"Tiny.tsv": table()}}
    namespace.apply({"apiVersion": "v1", "kind": "ConfigMap", **data}, _pod(name))
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": 8080}]},
    }
    namespace.apply(service)
    namespace.ready(name)


def _pod(name: str) -> dict[str, Any]:
    mounts = {"tsv": "/data", "scratch": "/tmp"}
    container = {
        "name": "main",
        "image": IMAGE,
        "command": ["python", "-c", _SERVER],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
        "volumeMounts": [{"name": n, "mountPath": p} for n, p in mounts.items()],
    }
    spec = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "securityContext": {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [
            {"name": "tsv", "configMap": {"name": name}},
            {"name": "scratch", "emptyDir": {}},
        ],
    }
    meta = {"name": name, "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def broken(namespace: Namespace, *, so: bool, name: str = "model") -> None:
    """Lets the model refuse some requests, or answer them again."""
    what = "open('/tmp/broken','w')" if so else "os.remove('/tmp/broken')"
    namespace.kubectl("exec", name, "--", "python", "-c", f"import os; {what}")


def evaluation(namespace: Namespace, name: str = "model", **changes: Any) -> Any:
    """A file that asks it."""
    host = f"http://{name}.{namespace.name}.svc:8080"
    model = {
        "name": "CustomAPIModel",
        "type": "tiny",
        "api_base": f"{host}/v1/chat/completions",
    }
    return {
        "eval_backend": "VLMEvalKit",
        "eval_config": {
            "model": [model],
            "data": ["Tiny"],
            "judge": "exact_matching",
            "retry": 1,
        },
        "dataset_sources": {"Tiny": {"url": f"{host}/Tiny.tsv"}},
        **changes,
    }
