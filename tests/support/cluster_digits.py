"""The digits model in the cluster and on this machine: the same answers, counted, from the same tables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from support.cluster_images import image
from support.digits_example import FOLDER
from support.local_runs import ASSAY
from support.pods import Namespace

IMAGE = image("digits")
PROGRAM = Path(__file__).with_name("cluster_counted.py")
SEED_MODEL = "Qwen2.5-VL-3B-Instruct"
"""What the seed's file calls its model."""

_PORT = 8080
_ASK = """\
import sys, urllib.request as u
r = u.Request(sys.argv[1], method=sys.argv[2])
print(u.urlopen(r, timeout=20).read().decode())
"""


@dataclass(frozen=True)
class Asked:
    """What the model was asked: how often each (model, dataset, sample) and table, when first."""

    counts: dict[str, int]
    fetched: dict[str, int]
    first: float
    most: int

    def of(self, dataset: str) -> dict[str, int]:
        """About one dataset."""
        return {k: n for k, n in self.counts.items() if k.split()[1] == dataset}

    @property
    def twice(self) -> dict[str, int]:
        """What was asked more than once."""
        return {k: n for k, n in self.counts.items() if n > 1}


def evaluation(
    base: str, *tables: str, models: tuple[str, ...] = ("digits-svm",), **config: Any
) -> dict[str, Any]:
    """A user's file: models and tables of the server at `base`."""
    return {
        "eval_backend": "VLMEvalKit",
        "eval_config": {
            "model": [
                {
                    "type": name,
                    "name": "CustomAPIModel",
                    "api_base": f"{base}/v1/chat/completions",
                    "temperature": 0.0,
                    "img_size": -1,
                    "max_tokens": 16,
                }
                for name in models
            ],
            "data": list(tables),
            "mode": "all",
            "nproc": 8,
            "judge": "exact_matching",
            **config,
        },
        "dataset_sources": {t: {"url": f"{base}/data/{t}.tsv"} for t in tables},
    }


@dataclass(frozen=True)
class Model:
    """The server's pod and Service."""

    namespace: Namespace

    @property
    def base(self) -> str:
        """Its address, for pods."""
        return f"http://digits.{self.namespace.name}.svc:{_PORT}"

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        name = {"name": "digits"}
        config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": name}
        ports = {"selector": {"app": "digits"}, "ports": [{"port": _PORT}]}
        service = {"apiVersion": "v1", "kind": "Service", "metadata": name}
        self.namespace.apply(
            config | {"data": {"counted.py": PROGRAM.read_text()}},
            service | {"spec": ports},
            _pod(),
        )
        self.namespace.ready("digits")

    def asked(self) -> Asked:
        """What it was asked since the last reset."""
        return Asked(**json.loads(self._call("/asked", "GET")))

    def reset(self, pace: float = 0.0) -> None:
        """Begins the count anew; each answer takes `pace` seconds from now on."""
        self._call(f"/reset?pace={pace}", "POST")

    def _call(self, path: str, method: str) -> str:
        url = f"http://127.0.0.1:{_PORT}{path}"
        words = ("exec", "digits", "--", "python", "-c", _ASK, url, method)
        return self.namespace.kubectl(*words)


def _pod() -> dict[str, Any]:
    container = {
        "name": "main",
        "image": IMAGE,
        "command": ["python", "/opt/counted/counted.py"],
        "env": [{"name": "PYTHONPATH", "value": "/opt/digits"}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "readinessProbe": {"tcpSocket": {"port": _PORT}, "periodSeconds": 1},
        "volumeMounts": [{"name": "program", "mountPath": "/opt/counted"}],
    }
    spec = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "securityContext": {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "program", "configMap": {"name": "digits"}}],
    }
    meta = {"name": "digits", "labels": {"app": "digits"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


@dataclass(frozen=True)
class Here:
    """`assay run` on this machine, against a server of its own; each evaluation runs once."""

    folder: Path
    base: str

    @classmethod
    @contextmanager
    def served(cls, folder: Path) -> Iterator[Here]:
        """Starts the server for as long as it is needed."""
        command = [sys.executable, str(PROGRAM), "--port", "0", "--name", SEED_MODEL]
        environ = {**os.environ, "PYTHONPATH": str(FOLDER)}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ) as server:
            try:
                line = server.stdout.readline().decode()
                port = line.removeprefix("serving ").strip()
                assert port.isdecimal(), "the digits server did not start"
                yield cls(folder, f"http://127.0.0.1:{port}")
            finally:
                server.kill()

    @cached_property
    def _done(self) -> dict[str, dict[str, bytes]]:
        return {}

    def results(self, *tables: str, **given: Any) -> dict[str, bytes]:
        """Sample tables and metrics of the evaluation, by their path in the result."""
        return self.results_of(evaluation(self.base, *tables, **given))

    def results_of(self, document: dict[str, Any]) -> dict[str, bytes]:
        """The same of any file whose addresses lead here."""
        key = json.dumps(document, sort_keys=True)
        if key not in self._done:
            self._done[key] = self._run(document)
        return self._done[key]

    def _run(self, document: dict[str, Any]) -> dict[str, bytes]:
        place = Path(mkdtemp(dir=self.folder))
        (place / "eval.json").write_text(json.dumps(document))
        environ = {**os.environ, "ASSAY_CACHE": str(self.folder / "cache")}
        out = place / "out"
        done = subprocess.run(
            [ASSAY, "run", "eval.json", "--run-dir", str(out)],
            cwd=place,
            env=environ,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        found = {str(p.relative_to(out)): p for p in out.rglob("*") if p.is_file()}
        return {name: found[name].read_bytes() for name in found if comparable(name)}


def comparable(path: str) -> bool:
    """Whether equal answers leave these bytes: a sample table, or the metrics."""
    table = path.startswith("samples/") and path.endswith(".parquet")
    return path == "metrics.json" or (table and ".timing." not in path)
