"""A namespace of a real API server with what a release of the chart leaves there, and commands about it.

There is no node, so its services do not run: what commands do at the API server alone is what is tried.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Any

import yaml
from click.testing import Result
from typer.testing import CliRunner

from assay.cli.main import app
from assay.cluster.evalruns import EvalRun
from assay.cluster.place import Place
from assay.kube.api import KubeApi
from assay.kube.objects import KubeObject
from assay.kube.resources import (
    CONFIG_MAPS,
    DEFINITIONS,
    EVAL_RUNS,
    NAMESPACES,
    SERVICE_ACCOUNTS,
)
from assay.kube.transport import Transport
from support.api_server import ApiServer
from support.charts import CHART, rendered

PLATFORM = {"store": {"demo": {"enabled": True}}}
FILE: dict[str, Any] = {
    "eval_backend": "VLMEvalKit",
    "run_name": "First try",
    "eval_config": {
        "model": [
            {
                "name": "CustomAPIModel",
                "type": "one",
                "api_base": "http://one.models/v1/chat/completions",
                "key": "secret-of-one",
            },
            {
                "name": "CustomAPIModel",
                "type": "two",
                "api_base": "http://two.models/v1/chat/completions",
            },
        ],
        "data": ["MMBench_DEV_EN"],
        "judge": "exact_matching",
    },
}
_KINDS = {"ConfigMap": CONFIG_MAPS, "ServiceAccount": SERVICE_ACCOUNTS}


_rendered = functools.cache(lambda name: rendered(PLATFORM, release=name))


@dataclass
class Site:
    """One namespace, as the administrator of the tests sees it."""

    server: ApiServer
    namespace: str

    @property
    def api(self) -> KubeApi:
        return KubeApi(Transport(self.server.access()))

    @property
    def place(self) -> Place:
        return Place(self.server.access(), self.api, self.namespace)

    def release(self, name: str) -> None:
        """Writes what the chart renders for this release and commands look for."""
        for item in _rendered(name):
            kind = _KINDS.get(item["kind"])
            if kind is not None:
                meta = {**item["metadata"], "namespace": self.namespace}
                whole = {**item, "metadata": meta}
                self.api.create(kind, whole, self.namespace, of=KubeObject)

    def told(self, name: str, state: str, **status: Any) -> None:
        """Writes a status, as the controller does."""
        item = self.api.get(EVAL_RUNS, name, self.namespace, of=EvalRun)
        whole = {
            "observedGeneration": item.metadata.generation,
            "state": state,
            **status,
        }
        self.api.merge(
            EVAL_RUNS,
            name,
            {"status": whole},
            self.namespace,
            of=KubeObject,
            subresource="status",
        )

    def submit(self, file: Any, *words: Any) -> Result:
        """Submits a file; there is no controller that would look at it."""
        return self.assay("submit", file, "--timeout", 0, *words)

    def assay(self, *words: Any, token: str = "") -> Result:
        """What a command does about this namespace."""
        user = {"token": token} if token else {}
        config = self.server.kubeconfig(name=token or "admin", **user)
        where = ("--kubeconfig", str(config), "--namespace", self.namespace)
        return CliRunner().invoke(app, [*map(str, words), *where])


def make_site(server: ApiServer, namespace: str) -> Site:
    """A new namespace; the definition is installed if it is not there."""
    site = Site(server, namespace)
    definition = yaml.safe_load((CHART / "crds" / "evalruns.yaml").read_text())
    name = definition["metadata"]["name"]
    site.api.apply(DEFINITIONS, name, definition, of=KubeObject, manager="tests")
    meta = {"metadata": {"name": namespace}}
    site.api.create(NAMESPACES, meta, of=KubeObject)
    return site


def written(folder: Any, **changes: Any) -> Any:
    """The file, changed at the top, in a folder."""
    path = folder / "eval.json"
    path.write_text(json.dumps({**FILE, **changes}))
    return path
