"""`make demo`: makes the dataset, serves the classifier on a free port, evaluates it with `assay run`.

Everything it writes stands in `examples/digits/data/` and `outputs/`; the server ends with it.
"""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import make_dataset
import yaml

_HERE = Path(__file__).parent
_DATASET = _HERE / "data" / "Digits.tsv"
_READY_SECONDS = 60
_STOP_SECONDS = 10
_SERVING = "serving "


class DemoError(Exception):
    """The demo cannot go on; the text says why."""


@contextmanager
def served() -> Iterator[str]:
    """The classifier's address, as long as it is needed.

    Raises:
        DemoError: it did not come up.
    """
    # Port 0: a busy port on the user's machine is no reason to fail.
    command = [sys.executable, str(_HERE / "serve.py"), "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield _address(server)
    finally:
        server.terminate()
        try:
            server.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _address(server: subprocess.Popen[str]) -> str:
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(
        target=_forward, args=(server, lines), name="demo-server-output", daemon=True
    ).start()
    try:
        while (line := lines.get(timeout=_READY_SECONDS)) is not None:
            print(line, flush=True)
            if line.startswith(_SERVING):
                return line.removeprefix(_SERVING)
    except queue.Empty:
        raise DemoError(f"serve.py was not ready after {_READY_SECONDS} s") from None
    raise DemoError("serve.py ended before it served; its error stands above")


def _forward(server: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    for line in server.stdout or ():
        lines.put(line.rstrip())
    lines.put(None)


def config(base: str) -> Path:
    """`eval.yaml` for the address that the server got."""
    document = yaml.safe_load((_HERE / "eval.yaml").read_text())
    for model in document["eval_config"]["model"]:
        model["api_base"] = f"{base}/chat/completions"
    document["dataset_sources"]["Digits"]["path"] = str(_DATASET.absolute())
    path = _DATASET.with_name("eval.yaml")
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def main() -> int:
    """Exits as `assay run` does."""
    print(f"{_DATASET}: {make_dataset.write(_DATASET)} held-out digits", flush=True)
    assay = Path(sys.executable).with_name("assay")
    try:
        with served() as base:
            return subprocess.run([assay, "run", config(base)], check=False).returncode
    except DemoError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
