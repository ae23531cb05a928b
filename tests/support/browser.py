"""A headless Chromium driven over WebDriver's plain HTTP on loopback: no library, nothing installed."""

from __future__ import annotations

import json
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = Path("/usr/bin/chromium")
DRIVER = Path("/usr/bin/chromedriver")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--force-prefers-reduced-motion",
)
# Loopback is never asked of a proxy.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Browser:
    """One session; every call waits for its answer."""

    def __init__(self, address: str, profile: str, flags: tuple[str, ...]) -> None:
        self._address = address
        options = {
            "binary": str(CHROMIUM),
            "args": [*_FLAGS, *flags, f"--user-data-dir={profile}"],
        }
        wanted = {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        made = self._call("", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/{made['sessionId']}"

    def open(self, path: Path) -> None:
        """Loads a file, whole."""
        self._call("/url", {"url": path.as_uri()})

    def seconds_to_open(self, path: Path) -> float:
        """Processor time of the page's main thread until it is loaded: others' load does not count."""
        self._devtools("Performance.enable", timeDomain="threadTicks")
        self.open(path)
        metrics = self._devtools("Performance.getMetrics")["metrics"]
        return next(m["value"] for m in metrics if m["name"] == "TaskDuration")

    def _devtools(self, command: str, **parameters: object) -> Any:
        body = {"cmd": command, "params": parameters}
        return self._call("/goog/cdp/execute", body)

    def run(self, script: str, *args: object) -> Any:
        """What a function body returns in the page."""
        return self._call("/execute/sync", {"script": script, "args": list(args)})

    def wait(self, condition: str) -> None:
        """Until an expression holds in the page; it is asked with every frame drawn."""
        script = (
            "const done = arguments[0]; const look = () => "
            f"({condition}) ? done(true) : requestAnimationFrame(look); look();"
        )
        self._call("/execute/async", {"script": script, "args": []})

    def keys(self, *keys: str) -> None:
        """Presses and lets go of keys, one after the other, wherever the focus is."""
        acts = [
            {"type": kind, "value": key}
            for key in keys
            for kind in ("keyDown", "keyUp")
        ]
        keyboard = {"type": "key", "id": "keyboard", "actions": acts}
        self._call("/actions", {"actions": [keyboard]})

    def console(self) -> list[str]:
        """What the page complained of since it was last asked."""
        entries = self._call("/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries]

    def requests(self) -> list[str]:
        """Addresses of everything the browser went for since it was last asked."""
        entries = self._call("/se/log", {"type": "performance"})
        events = [json.loads(entry["message"])["message"] for entry in entries]
        return [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def close(self) -> None:
        """Ends the session and its browser."""
        self._call("", None, method="DELETE")

    def _call(self, path: str, body: object, method: str = "POST") -> Any:
        session = getattr(self, "_session", "")
        request = urllib.request.Request(
            f"{self._address}/session{session}{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"Content-Type": "application/json"},
        )
        with _DIRECT.open(request, timeout=60) as answer:
            return json.load(answer)["value"]


@contextmanager
def chromium(*flags: str) -> Iterator[Browser]:
    """A browser of its own, gone with its profile afterwards."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        subprocess.Popen(
            [DRIVER, "--port=0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as driver,
    ):
        try:
            assert driver.stdout is not None
            line = next(
                text for text in driver.stdout if "successfully on port" in text
            )
            port = line.rstrip().rstrip(".").rpartition(" ")[2]
            browser = Browser(f"http://127.0.0.1:{port}", profile, flags)
            browser.requests()  # Of the page a browser starts with.
            try:
                yield browser
            finally:
                browser.close()
        finally:
            driver.terminate()
