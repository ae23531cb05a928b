"""`assay run` as a user starts it: a dataset of real digits, a file, a process, its folder."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits

ASSAY = str(Path(sys.executable).with_name("assay"))
DATASET = "LittleDigits"
MODEL = "stub"


@cache
def picture_cells() -> list[str]:
    """Pictures of real digits, as cells of a TSV."""
    cells = []
    for pixels in load_digits().images[:200]:
        picture = Image.fromarray((pixels * 15).astype("uint8")).resize((64, 64))
        stream = io.BytesIO()
        picture.save(stream, "PNG")
        cells.append(base64.b64encode(stream.getvalue()).decode())
    return cells


def write_dataset(path: Path, count: int) -> Path:
    """A custom MCQ TSV; every question names its sample as `#<index>`."""
    pictures = picture_cells()
    with path.open("w", newline="") as stream:
        table = csv.writer(stream, delimiter="\t")
        table.writerow(
            ["index", "question", "A", "B", "C", "D", "answer", "category", "image"]
        )
        for index in range(count):
            answer = "ABCD"[index % 4]
            table.writerow(
                [
                    index,
                    f"Which digit is this? #{index}",
                    *("one", "two", "three", "four"),
                    answer,
                    f"group {index % 3}",
                    pictures[index % len(pictures)],
                ]
            )
    return path


@dataclass(frozen=True)
class Desk:
    """Where a user of a test sits: a folder with the file, the dataset and a cache."""

    folder: Path
    file: Path
    environ: dict[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @classmethod
    def set_up(cls, folder: Path, url: str, *, count: int, cache_dir: Path, **changes):
        """Writes dataset and file; `changes` go into the file's top level or its eval_config."""
        folder.mkdir(parents=True, exist_ok=True)
        tsv = write_dataset(folder / f"{DATASET}.tsv", count)
        document = {
            "work_dir": str(folder / "outputs"),
            "eval_backend": "VLMEvalKit",
            "dataset_sources": {DATASET: {"path": str(tsv)}},
            "eval_config": {
                "model": [
                    {
                        "type": MODEL,
                        "name": "CustomAPIModel",
                        "api_base": url,
                        "wait": 0.01,
                    }
                ],
                "data": [DATASET],
                "mode": "all",
                "judge": "exact_matching",
                "nproc": 8,
                "retry": 2,
                **changes.pop("eval_config", {}),
            },
            **changes,
        }
        file = folder / "eval.json"
        file.write_text(json.dumps(document))
        environ = {
            **os.environ,
            "ASSAY_CACHE": str(cache_dir),
            "LMUData": str(folder / "LMUData"),
        }
        return cls(folder, file, environ)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts `assay ...` in its own session, as a shell would."""
        return self._start(ASSAY, *map(str, arguments))

    def _start(self, *command: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def leave(self) -> None:
        """Ends what a test that failed has left running."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                stream.close()

    def assay(self, *arguments: str, timeout: float = 60.0):
        """Runs `assay ...` to its end."""
        return self.program(ASSAY, *map(str, arguments), timeout=timeout)

    def program(self, *command: str, timeout: float = 60.0):
        """Runs any program at this desk to its end."""
        process = self._start(*command)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.terminate()
            out, err = process.communicate(timeout=20)
            raise AssertionError(f"did not end in {timeout} s:\n{out}\n{err}") from None
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def run(self, run_dir: Path, *arguments: str, **options):
        """`assay run` of the file into a folder."""
        return self.assay("run", self.file, "--run-dir", run_dir, *arguments, **options)


def report(run_dir: Path) -> dict:
    return json.loads((run_dir / "report.json").read_text())


def reproducible(run_dir: Path) -> dict[str, bytes]:
    """The files that every run of equal answers leaves byte by byte."""
    table = run_dir / "samples" / MODEL / f"{DATASET}.parquet"
    return {
        "samples": table.read_bytes(),
        "metrics": (run_dir / "metrics.json").read_bytes(),
    }


def processes_of(run_dir: Path, role: str = "") -> list[int]:
    """Process ids of our services that serve this run, by the role's module."""
    journal = run_dir / "logs"
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().split(b"\0")
            targets = [str(fd.readlink()) for fd in (entry / "fd").iterdir()]
        except OSError:
            continue
        ours = any(part.startswith(b"assay.") for part in command)
        of_role = not role or f"assay.{role}.main".encode() in command
        if ours and of_role and any(t.startswith(str(journal)) for t in targets):
            found.append(int(entry.name))
    return found


def kill(pid: int) -> bool:
    """SIGKILL; whether there was anything to kill."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def until(holds, what: str, seconds: float = 30.0) -> None:
    """Waits for the world outside; fails in words."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.02)
