"""A real API server that takes no unknown field and only `restricted` pods; its warnings are errors.

Tests of what the controller and the chart make ask it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.api_server import ADMIN, ApiServer, running_api_server
from support.binaries import MissingError, binary
from support.charts import CHART

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
RESTRICTED = {
    f"pod-security.kubernetes.io/{how}": "restricted" for how in ("enforce", "warn")
}


class Strict:
    """An API server that takes no unknown field."""

    def __init__(self, server: ApiServer) -> None:
        """Asks as the administrator."""
        self._server = server
        self._pool = server.access().pool(retries=False, timeout=20)

    def ask(
        self, method: str, path: str, body: Any, kind: str = "application/json"
    ) -> Any:
        """What it answers; whatever it refuses or warns of is an error.

        Raises:
            AssertionError: with its words.
        """
        mark = "&" if "?" in path else "?"
        answer = self._pool.request(
            method,
            f"{self._server.address}{path}{mark}fieldValidation=Strict",
            body=json.dumps(body),
            headers={"Authorization": f"Bearer {ADMIN}", "Content-Type": kind},
        )
        assert answer.status < 300, answer.data.decode()
        assert "Warning" not in answer.headers, answer.headers["Warning"]
        return answer.json()

    def patch(self, path: str, body: Any) -> Any:
        """What becomes of an object by a merge patch."""
        return self.ask("PATCH", path, body, "application/merge-patch+json")

    def define(self, file: Path = CHART / "crds/evalruns.yaml") -> None:
        """Has it know a kind, EvalRuns by default; returns when it takes them.

        Raises:
            AssertionError: it does not come to that.
        """
        definition = yaml.safe_load(file.read_text())
        path = f"{DEFINITIONS}/{definition['metadata']['name']}"
        self.ask("POST", DEFINITIONS, definition)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            status = self.ask("GET", path, None).get("status") or {}
            facts = status.get("conditions") or []  # `null` until it was looked at
            if any(f["type"] == "Established" and f["status"] == "True" for f in facts):
                return
            time.sleep(0.1)
        raise AssertionError("the definition was not established")


@contextmanager
def strict_api(folder: Path) -> Iterator[Strict]:
    """One with a restricted namespace `space`, and EvalRuns known."""
    try:
        for name in ("etcd", "kube-apiserver"):
            binary(name)
    except MissingError as error:
        pytest.skip(str(error))
    with running_api_server(folder) as server:
        made = Strict(server)
        space = {"metadata": {"name": "space", "labels": RESTRICTED}}
        made.ask("POST", "/api/v1/namespaces", space)
        made.define()
        yield made
