"""Who is measured: Assay, real VLMEvalKit, and the bare client; each a fresh process, all on one stub."""

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from tables import NAME, Table
from watch import Outcome, run_watched

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT / "tests"))

from support.peer_environment import run_peer  # noqa: E402 - found by the line above

ASSAY = str(Path(sys.executable).with_name("assay"))
KEY = "bench-model"
MODEL = {"name": "CustomAPIModel", "type": KEY, "temperature": 0.0, "max_tokens": 16}


@dataclass(frozen=True)
class Stub:
    """The referee, running."""

    port: int
    latency: float
    slots: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/chat/completions"

    def stats(self) -> Mapping[str, float]:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.port}/stats", timeout=10
        ) as answer:
            return json.load(answer)

    def reset(self) -> None:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/reset", method="POST", data=b""
        )
        urllib.request.urlopen(request, timeout=10).close()


@contextmanager
def stub(
    latency: float, slots: int, capture: Path | None = None, answer: str = ""
) -> Iterator[Stub]:
    """Runs the referee until the block ends; `answer` is what it says to everything."""
    command = [sys.executable, str(HERE / "stub_server.py"), f"--latency={latency}"]
    command.append(f"--slots={slots}")
    if capture:
        command.append(f"--capture={capture}")
    if answer:
        command.append(f"--answer={answer}")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield Stub(int(process.stdout.readline()), latency, slots)
        finally:
            process.terminate()


@dataclass(frozen=True)
class Result:
    """One run of one contender; None: it has no such figure.

    Attributes:
        rows: how many samples it had.
        slots_used: of the stub's slots, from the first request to the last committed answer.
        slots_of_inference: the same, but from where inference begins: VLMEvalKit writes every
            picture and prompt of a dataset before its first request.
        wall_seconds: the whole command.
        cpu_ms: CPU of the process that asks, a sample.
        rss_bytes: its greatest memory.
        first_request: seconds from the start of the command.
        bytes_per_sample: segments and epoch files written during inference.
        score_seconds: from the start of scoring to its end.
        others: cores that other work on the machine took meanwhile.
        accuracy: what came out: equal for all who score.
    """

    rows: int
    slots_used: float
    slots_of_inference: float
    wall_seconds: float
    cpu_ms: float
    rss_bytes: float
    first_request: float
    bytes_per_sample: float | None = None
    score_seconds: float | None = None
    others: float | None = None
    accuracy: float | None = None


def assay(
    table: Table, referee: Stub, folder: Path, cache: Path, rows: int | None = None
) -> Result:
    """`assay run` of the installed package; the cache may hold the prepared dataset."""
    rows = rows or table.rows
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config = {
        "work_dir": str(folder),
        "eval_backend": "VLMEvalKit",
        "eval_config": {
            "model": [MODEL | {"api_base": referee.url}],
            "data": [NAME],
            "nproc": referee.slots,
            "judge": "exact_matching",
            **({"limit": rows} if rows != table.rows else {}),
        },
        "dataset_sources": {NAME: {"path": str(table.path), "md5": table.md5}},
    }
    file, run_dir = folder / "eval.yaml", folder / "run"
    file.write_text(yaml.safe_dump(config))
    referee.reset()
    outcome = run_watched(
        [
            ASSAY,
            "run",
            str(file),
            "--run-dir",
            str(run_dir),
        ],
        environment=os.environ | {"ASSAY_CACHE": str(cache)},
        log=folder / "said.log",
        timeout=1800,
    )
    if outcome.code:
        raise RuntimeError(f"assay run ended with {outcome.code}:\n{outcome.said}")
    return _assay_result(rows, referee, outcome, run_dir)


def _assay_result(rows: int, referee: Stub, outcome: Outcome, run_dir: Path) -> Result:
    stats = referee.stats()
    _same_count(rows, stats)
    segments = list((run_dir / ".assay").rglob("*.seg"))
    epochs = list((run_dir / ".assay").rglob("epochs/*.json"))
    committed = max(path.stat().st_mtime for path in segments)
    span = max(committed, stats["last_answer"]) - stats["first_request"]
    written = sum(path.stat().st_size for path in segments + epochs)
    used = rows * referee.latency / (referee.slots * span)
    (worker,) = outcome.of("assay.infer.main")
    scorers = outcome.of("assay.scorer.main")
    report = json.loads((run_dir / "report.json").read_text())
    metrics = report["tasks"][0]["metrics"]
    return Result(
        rows=rows,
        slots_used=used,
        slots_of_inference=used,
        wall_seconds=outcome.wall_seconds,
        cpu_ms=1000 * worker.cpu_seconds / rows,
        rss_bytes=worker.peak_rss_bytes,
        first_request=stats["first_request"] - outcome.begun,
        bytes_per_sample=written / rows,
        others=outcome.others(stats["cpu_seconds"]),
        score_seconds=max(s.seen for s in scorers) - min(s.begun for s in scorers),
        accuracy=next(m["value"] for m in metrics if m["name"] == "Overall"),
    )


def peer(table: Table, referee: Stub, folder: Path, rows: int, lmu: Path) -> Result:
    """VLMEvalKit as it is, but for hollow torch; `lmu` may hold the pictures of an earlier run."""
    shutil.rmtree(folder, ignore_errors=True)
    lmu.mkdir(parents=True, exist_ok=True)
    link = lmu / table.path.name
    if not link.exists():
        link.symlink_to(table.path)
    referee.reset()
    outcome = run_peer(
        folder,
        lmu_data=lmu,
        datasets=[NAME],
        model=MODEL | {"api_base": referee.url},
        nproc=referee.slots,
        limit=rows,
        skip_sleep=False,
        timeout=3600,
    )
    stats = referee.stats()
    _same_count(rows, stats)
    facts = outcome.facts
    own = facts["datasets"][NAME]
    with (outcome.folder / KEY / f"{KEY}_{NAME}_acc.csv").open() as stream:
        values = [line.strip().replace('"', "").split(",") for line in stream]
    return Result(
        rows=rows,
        slots_used=stats["slots_used"],
        slots_of_inference=rows
        * referee.latency
        / (referee.slots * own["infer_seconds"]),
        wall_seconds=facts["wall_seconds"],
        cpu_ms=1000 * own["infer_cpu_seconds"] / rows,
        rss_bytes=facts["peak_rss_bytes"],
        first_request=stats["first_request"] - facts["begun"],
        score_seconds=own["score_seconds"],
        accuracy=float(values[1][values[0].index("Overall")]),
    )


def floor(bodies: Path, referee: Stub, folder: Path, rows: int) -> Result:
    """The bare client with the bodies that Assay was seen to send."""
    folder.mkdir(parents=True, exist_ok=True)
    referee.reset()
    outcome = run_watched(
        [
            sys.executable,
            str(HERE / "floor_client.py"),
            f"--bodies={bodies}",
            f"--port={referee.port}",
            f"--slots={referee.slots}",
        ],
        environment=os.environ,
        log=folder / "said.log",
        timeout=600,
    )
    stats = referee.stats()
    _same_count(rows, stats)
    facts = json.loads(outcome.said)
    return Result(
        rows=rows,
        slots_used=stats["slots_used"],
        slots_of_inference=stats["slots_used"],
        wall_seconds=outcome.wall_seconds,
        cpu_ms=1000 * facts["cpu_seconds"] / rows,
        rss_bytes=facts["peak_rss_bytes"],
        first_request=stats["first_request"] - outcome.begun,
    )


def _same_count(rows: int, stats: Mapping[str, float]) -> None:
    if stats["answers"] != rows:
        raise RuntimeError(f"the stub answered {stats['answers']} of {rows} samples")
