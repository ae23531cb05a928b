"""A real Prometheus (Debian's) that scrapes processes of a test, and what it says of them."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import urllib3
import yaml

from support.charts import rendered
from support.tiny_kubelet import free_address

_START_SECONDS = 30
_SCRAPE = "1s"


def program() -> str:
    """Where Prometheus is; the test is skipped where it is not."""
    found = shutil.which("prometheus")
    if found is None:
        pytest.skip("needs Prometheus: apt-get install prometheus")
    return found


@dataclass
class Prometheus:
    """One that runs; `targets` may change at any time through `watch`."""

    address: str
    folder: Path
    pool: urllib3.PoolManager = field(
        default_factory=lambda: urllib3.PoolManager(maxsize=4)
    )

    def watch(self, targets: Mapping[str, Mapping[str, str]]) -> None:
        """Scrapes these addresses from now on, with these labels."""
        told = [{"targets": [a], "labels": dict(has)} for a, has in targets.items()]
        # Renamed into its place: it is read the moment it changes.
        (self.folder / "new").write_text(json.dumps(told))
        (self.folder / "new").rename(self.folder / "targets.json")

    def query(self, text: str) -> list[dict[str, Any]]:
        """What an expression is now."""
        found: list[dict[str, Any]] = self._get("query", query=text)["result"]
        return found

    def value(self, text: str) -> float:
        """The only value of an expression; 0 where there is none."""
        found = self.query(text)
        assert len(found) <= 1, (text, found)
        return float(found[0]["value"][1]) if found else 0.0

    def firing(self) -> set[str]:
        """Names of the alerts that fire."""
        alerts = self._get("alerts")["alerts"]
        return {a["labels"]["alertname"] for a in alerts if a["state"] == "firing"}

    def names(self) -> dict[str, set[str]]:
        """Every series that was scraped, with the labels it has."""
        found: dict[str, set[str]] = {}
        for series in self._get("series", **{"match[]": '{__name__!=""}'}):
            found.setdefault(series["__name__"], set()).update(series)
        return found

    async def until(self, holds: Callable[[], bool], seconds: float) -> None:
        """Returns when it holds.

        Raises:
            TimeoutError: it did not in time.
        """
        async with asyncio.timeout(seconds):
            while not await asyncio.to_thread(holds):  # noqa: ASYNC110 - Prometheus tells nobody
                await asyncio.sleep(0.25)

    def _get(self, what: str, **fields: str) -> Any:
        answer = self.pool.request(
            "GET",
            f"http://{self.address}/api/v1/{what}",
            fields=fields,
            timeout=10,
            retries=False,
        ).json()
        assert answer["status"] == "success", answer
        return answer["data"]


@contextmanager
def prometheus(folder: Path, rules: Mapping[str, Any]) -> Iterator[Prometheus]:
    """One with the groups of a PrometheusRule, from its first answer to the end of the block."""
    where = program()
    folder.mkdir()
    (folder / "rules.yaml").write_text(json.dumps(rules))
    config = {
        "global": {"scrape_interval": _SCRAPE, "evaluation_interval": _SCRAPE},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [
            {"job_name": "assay", "file_sd_configs": [{"files": ["targets.json"]}]}
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = free_address()
    command = [where, "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    command += [f"--web.listen-address={address}", "--log.level=warn"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    made = Prometheus(address, folder)
    try:
        until = time.monotonic() + _START_SECONDS
        while not _answers(made, process):
            assert time.monotonic() < until, (folder / "log").read_text()
            time.sleep(0.1)
        yield made
    finally:
        process.kill()
        process.wait(10)


def _answers(made: Prometheus, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, (made.folder / "log").read_text()
    try:
        made.query("1")
    except (urllib3.exceptions.HTTPError, AssertionError):
        return False
    return True


def objects(namespace: str, **alerts: object) -> list[dict[str, Any]]:
    """What the chart makes for monitoring, with other thresholds."""
    values: dict[str, Any] = {
        "store": {"demo": {"enabled": True}},
        "monitoring": {
            "enabled": True,
            "alerts": alerts,
            "dashboards": {"enabled": True},
        },
    }
    text = json.dumps(rendered(values)).replace('namespace=\\"space\\"', "HERE")
    made: list[dict[str, Any]] = json.loads(
        text.replace("HERE", f'namespace=\\"{namespace}\\"')
    )
    return made


def panels(made: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Dashboard and panel, and each of its queries."""
    for one in made:
        if one["kind"] != "ConfigMap" or "-dashboard-" not in one["metadata"]["name"]:
            continue
        (text,) = one["data"].values()
        board = json.loads(text)
        for panel in board["panels"]:
            for target in panel["targets"]:
                yield f"{board['title']}: {panel['title']}", target["expr"]


@contextmanager
def exporter(page: str) -> Iterator[str]:
    """Serves a page of another program's metrics; gives the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        thread = Thread(target=served.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{served.server_port}"
        finally:
            served.shutdown()
            thread.join()
