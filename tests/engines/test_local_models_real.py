"""Local models with real torch, transformers and VLMEvalKit: registry, datasets in a row, pace."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from assay.config.upstream_models import registry, upstream_root
from assay.domain.errors import ConfigError
from assay.domain.lease import LeasedSample
from assay.domain.prompt import PicturePart, Prompt, Row, TextPart, Turn
from assay.domain.run import Endpoint, LocalModel, Model, PicturePolicy
from assay.domain.task import TaskId
from assay.worker.engines.local import LocalEngine
from assay.worker.engines.model_process import SCRIPT
from assay.worker.engines.outcome import Answer
from support.local_parity import NAME, PARAMETERS, WEIGHTS, digits, local_python

pytestmark = pytest.mark.timeout(900)

PEER = Path(__file__).parents[1] / "support" / "peer"
COUNT = 120
IN_FLIGHT = 4


def model(**local):
    given = {"weights": str(WEIGHTS), "arguments": PARAMETERS, "python": local_python()}
    return Model(
        key=NAME,
        kind=NAME,
        served_name=NAME,
        endpoint=Endpoint(api_base="local:", timeout=120.0),
        pictures=PicturePolicy(files=True),
        local=LocalModel(**given | local),
    )


def asked(engine, dataset, ordinal, picture):
    part = PicturePart(digest=str(ordinal), key="", offset=0, length=1, url="")
    question = "Which digit is written in the picture?"
    prompt = Prompt(
        (Turn((part, TextPart(question))),),
        Row(json.dumps({"index": ordinal, "question": question}), (part,)),
    )
    sample = LeasedSample(ordinal=ordinal, sample_id=str(ordinal), prompt=prompt)
    return engine.build_sample(TaskId(NAME, dataset), sample, lambda _: picture)


def said_by_peer(script, *words):
    done = subprocess.run(
        [local_python(), str(PEER / script), *words],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_the_names_that_are_read_are_those_of_the_real_registry():
    real = said_by_peer("registry.py")
    read = registry(upstream_root())
    assert {name: real[name] for name, m in read.items() if m.local} == {
        name: m.cls for name, m in read.items() if m.local
    }
    clients = {each.cls for each in read.values() if not each.local}
    assert {real[name] for name in real.keys() - read.keys()} <= clients


async def test_a_model_is_asked_again_as_soon_as_it_has_answered(tmp_path):
    """The bare loop's own pace is told beside it: other work on the machine moves the two apart."""
    pictures = written(tmp_path)
    words = (NAME, str(WEIGHTS), json.dumps(PARAMETERS), str(tmp_path))
    bare = COUNT / said_by_peer("bare_loop.py", *words)["seconds"]
    engine = LocalEngine(model())
    await engine.open()
    try:
        seconds, busy = await _paced(engine, "A", pictures)
        idle = await _between(engine, pictures[0])
    finally:
        await engine.close()
    sys.__stdout__.write(
        f"\nlocal pace (CPU): asked {busy / seconds:.3f} of the time, {COUNT / seconds:.1f} samples/s,"
        f" bare loop {bare:.1f}; {idle:.3f} s from one dataset to the next\n"
    )
    assert busy / seconds >= 0.95
    assert idle <= 1.0


def written(folder):
    pictures = digits(COUNT)
    for number, picture in enumerate(pictures):
        (folder / f"{number}.png").write_bytes(picture)
    return pictures


async def _paced(engine, dataset, pictures):
    """Seconds for all, a few held ready as a worker does, and of them those in which the model was asked."""
    import asyncio  # noqa: PLC0415 - for this alone

    gate = asyncio.Semaphore(IN_FLIGHT)

    async def one(ordinal, picture):
        async with gate:
            body = await asyncio.to_thread(asked, engine, dataset, ordinal, picture)
            attempt = await engine.ask(body)
            assert isinstance(attempt.outcome, Answer)
            return attempt.latency

    started = time.monotonic()
    busy = await asyncio.gather(*(one(n, p) for n, p in enumerate(pictures)))
    return time.monotonic() - started, sum(busy)


async def _between(engine, picture):
    """Seconds that a sample of another dataset takes longer than its own generation."""
    started = time.monotonic()
    attempt = await engine.ask(asked(engine, "C", 0, picture))
    return time.monotonic() - started - attempt.latency


async def test_weights_of_another_shape_are_one_clear_message(tmp_path):
    for path in WEIGHTS.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    engine = LocalEngine(model(weights=str(tmp_path)))
    with pytest.raises(ConfigError, match="cannot be built from"):
        await engine.open()
    await engine.close()


async def test_code_that_comes_with_weights_does_not_run_unless_it_is_allowed(tmp_path):
    place = tmp_path / "weights"
    place.mkdir()
    ran = tmp_path / "ran"
    files = {
        "config.json": "{}",
        "model.safetensors": "",
        "code.py": f"open({str(ran)!r}, 'w')\nclass T: pass",
        "tokenizer_config.json": json.dumps(
            {"auto_map": {"AutoTokenizer": ["code.T", None]}}
        ),
    }
    for name, text in files.items():
        (place / name).write_text(text)
    job = job_of("InternVL2-1B", place, allowed=False)
    assert job["kind"] == "remote_code", job
    assert not ran.exists()
    job_of("InternVL2-1B", place, allowed=True)
    assert ran.exists()


def job_of(name, place, *, allowed):
    """What the process itself says, asked past the checks that come before it."""
    job = {
        "name": name,
        "argument": "model_path",
        "weights": str(place),
        "arguments": {},
        "trust_remote_code": allowed,
        "hub": "",
        "revision": "",
    }
    done = subprocess.run(
        [local_python(), "-I", str(SCRIPT)],
        input=json.dumps(job) + "\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return json.loads(done.stdout)
