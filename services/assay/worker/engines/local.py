"""The engine for a model class of VLMEvalKit's that runs beside this worker, in processes of its own.

Infer's `main` takes it for models with `local`. One process per replica holds the model and answers one
sample at a time, as upstream's loop does; samples wait here, those of the dataset that a process is at
first, so that it changes datasets once. A class that keeps something from sample to sample gets a new
process for every dataset: upstream lets the one dataset's traces change the next one's answers.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from assay.config.local_model import digest_of
from assay.domain.errors import ConfigError
from assay.domain.lease import LeasedSample
from assay.domain.prompt import PicturePart, Turn
from assay.domain.run import Model
from assay.domain.sample import UnscoredReason
from assay.domain.task import TaskId
from assay.worker.engines.body import Content, Exchange
from assay.worker.engines.canary import CANARY_PICTURE, CANARY_TEXT
from assay.worker.engines.model_check import cards, check, cure_of, interpreter
from assay.worker.engines.model_process import ModelProcess, ProcessEndedError
from assay.worker.engines.openai import Attempt
from assay.worker.engines.outcome import (
    FAIL_TEXT,
    Answer,
    AttemptFailure,
    EndpointFailure,
    Outcome,
)

_log = structlog.get_logger(__name__)

_PNG = b"\x89PNG"


@dataclass(slots=True)
class _Asked:
    dataset: str
    line: bytes
    answer: asyncio.Future[Attempt]


class LocalEngine:
    """Runs one model; `open` before use, `close` after."""

    def __init__(
        self,
        model: Model,
        *,
        log: Path | None = None,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Starts nothing yet.

        Args:
            model: with `local`.
            log: where its processes' output goes; None: into a folder that goes with the engine.
            environ: of the processes; names their interpreter where the model does not.
            clock: seconds.
        """
        assert model.local is not None
        self.address = f"{model.kind} in this worker"
        self._model = model
        self._local = model.local
        self._environ = environ
        self._python = interpreter(model, environ)
        self._clock = clock
        self._folder = Path(tempfile.mkdtemp(prefix="assay-model-"))
        self._log_file = log or self._folder / "model.log"
        self._waiting: deque[_Asked] = deque()
        self._came = asyncio.Condition()
        self._replicas: list[asyncio.Task[None]] = []
        self._processes: list[ModelProcess] = []
        self._written = 0

    async def open(self) -> None:
        """Builds the model, once per replica, and returns when all can be asked.

        Raises:
            ConfigError: it cannot be built here: where, why, and the cure.
        """
        await check(self._model, self._python)
        await self._check_digest()
        groups = await cards(self._local.gpus, self._environ)
        for group in groups:
            environ = {**self._environ, **group}
            self._processes.append(ModelProcess(self._python, self._log_file, environ))
        told = await asyncio.gather(*(self._build(each) for each in self._processes))
        self._replicas = [
            asyncio.create_task(self._serve(process, stateful=bool(said["state"])))
            for process, said in zip(self._processes, told, strict=True)
        ]

    async def _check_digest(self) -> None:
        """Whether these are still the weights that the run was accepted with.

        Raises:
            ConfigError: they are others.
        """
        local = self._local
        folder = Path(local.weights)
        if not (local.digest and folder.is_absolute()):
            return
        field = f"eval_config.model.{local.argument}"
        found = await asyncio.to_thread(digest_of, folder, field)
        if found != local.digest:
            raise ConfigError(
                field,
                f"the weights in {folder} are {found}, and the run is about {local.digest}",
                "put those back, or start a new run",
            )

    async def close(self) -> None:
        """Ends every process and takes the pictures away."""
        for replica in self._replicas:
            replica.cancel()
        await asyncio.gather(*self._replicas, return_exceptions=True)
        await asyncio.gather(*(process.end() for process in self._processes))
        shutil.rmtree(self._folder, ignore_errors=True)

    def build(self, content: Content, earlier: Sequence[Exchange] = ()) -> bytes:
        """A question that belongs to no dataset."""
        assert not earlier
        message = [
            {"type": "text", "value": each}
            if isinstance(each, str)
            else {"type": "image", "value": self._kept(each)}
            for each in content
        ]
        return _line({"dataset": None, "message": message, "files": [], "own": False})

    def build_sample(
        self, task: TaskId, sample: LeasedSample, read: Callable[[PicturePart], bytes]
    ) -> bytes:
        """The question about one sample, its pictures written to files; called from threads.

        Raises:
            CorruptError, StoreUnavailableError: a picture cannot be read.
        """
        self._written += 1
        key = f"{sample.ordinal}-{sample.turn}-{self._written}"
        files = _Files(self._folder / key, read)
        prompt = sample.prompt
        asked: dict[str, object] = {"dataset": task.dataset, "folder": key}
        if prompt.row is not None:
            asked["row"] = json.loads(prompt.row.cells)
            asked["files"] = [files.path(each) for each in prompt.row.pictures]
        else:
            asked |= {"row": {}, "files": [], "own": False}
        if len(prompt.turns) == 1:
            asked["message"] = files.message(prompt.turns[0])
        else:
            asked["messages"] = files.conversation(
                prompt.turns[: sample.turn + 1], sample.history
            )
        return _line(asked)

    def canary(self, *, with_picture: bool) -> bytes:
        """A question that any model answers."""
        pictures = (CANARY_PICTURE,) if with_picture else ()
        return self.build((*pictures, CANARY_TEXT))

    def _kept(self, picture: bytes) -> str:
        path = self._folder / "canary.jpg"
        path.write_bytes(picture)
        return str(path)

    async def reach(self, connections: int) -> EndpointFailure | None:
        """There is nothing to connect to."""
        _ = connections
        return None

    async def ask(self, body: bytes) -> Attempt:
        """Has one question answered; whatever happens comes back as an outcome."""
        told = json.loads(body)
        asked = _Asked(
            str(told["dataset"]), body, asyncio.get_running_loop().create_future()
        )
        async with self._came:
            self._waiting.append(asked)
            self._came.notify()
        try:
            return await asked.answer
        finally:
            if folder := told.get("folder"):
                await asyncio.to_thread(
                    shutil.rmtree, self._folder / folder, ignore_errors=True
                )

    async def _serve(self, process: ModelProcess, *, stateful: bool) -> None:
        """Answers as long as it is not cancelled."""
        present = ""
        while True:
            asked = await self._next(present)
            if asked.answer.done():
                continue
            leaves = stateful and bool(present) and asked.dataset != present
            present = asked.dataset
            started = self._clock()
            try:
                outcome = await self._answered(process, asked.line, anew=leaves)
            except asyncio.CancelledError:
                asked.answer.cancel()
                raise
            seconds = self._clock() - started
            if not asked.answer.done():
                asked.answer.set_result(Attempt(outcome=outcome, latency=seconds))

    async def _next(self, present: str) -> _Asked:
        """The first that waits of the dataset the process is at; of another once there is none."""
        async with self._came:
            await self._came.wait_for(lambda: bool(self._waiting))
            for asked in self._waiting:
                if asked.dataset == present:
                    self._waiting.remove(asked)
                    return asked
            return self._waiting.popleft()

    async def _answered(
        self, process: ModelProcess, line: bytes, *, anew: bool
    ) -> Outcome:
        if anew or not process.alive:
            try:
                await process.end()
                await self._build(process)
            except ConfigError as error:
                return EndpointFailure(
                    reason="model_not_built", message=str(error), connected=True
                )
        limit = self._model.endpoint.timeout
        try:
            async with asyncio.timeout(limit):
                told = await process.ask(line)
        except TimeoutError:
            await process.end()
            return AttemptFailure(
                reason=UnscoredReason.TIMEOUT,
                message=f"no answer within {limit:g} s; raise `timeout`",
                kind="time-out",
            )
        except ProcessEndedError as error:
            return AttemptFailure(
                reason=UnscoredReason.SERVER_ERROR,
                message=f"the model's process ended: {error}; see {self._log_file}"[
                    :500
                ],
                kind="process ended",
            )
        if told.get("kind") == "card_lost":
            await process.end()
        return _outcome(told)

    async def _build(self, process: ModelProcess) -> dict[str, Any]:
        """Has the model built.

        Raises:
            ConfigError: it cannot be.
        """
        local = self._local
        job = {
            "name": self._model.kind,
            "argument": local.argument,
            "weights": local.weights,
            "arguments": dict(local.arguments),
            "trust_remote_code": local.trust_remote_code,
            "hub": local.hub,
            "revision": self._model.revision or "",
        }
        started = self._clock()
        try:
            told = await process.start(job)
        except (ProcessEndedError, OSError) as error:
            told = {"error": str(error), "kind": "process_ended"}
        if "error" in told:
            raise ConfigError(
                "eval_config.model",
                f"{self._model.kind} cannot be built from {local.weights}: {told['error']}"[
                    :1500
                ],
                cure_of(told["kind"], self._model.kind, str(self._log_file)),
            )
        seconds = round(self._clock() - started, 1)
        _log.info("model built", name=self._model.kind, seconds=seconds, **told)
        return told


class _Files:
    """Pictures as files of one folder, each written once."""

    def __init__(self, folder: Path, read: Callable[[PicturePart], bytes]) -> None:
        self._folder = folder
        self._read = read
        self._paths: dict[str, str] = {}

    def path(self, picture: PicturePart) -> str:
        """Where it is."""
        if picture.digest not in self._paths:
            data = self._read(picture)
            self._folder.mkdir(exist_ok=True)
            # By what it is, as upstream's name ends.
            ending = "png" if data.startswith(_PNG) else "jpg"
            path = self._folder / f"{len(self._paths)}.{ending}"
            path.write_bytes(data)
            self._paths[picture.digest] = str(path)
        return self._paths[picture.digest]

    def message(self, turn: Turn) -> list[dict[str, str]]:
        """What is said in a turn, as upstream's classes take it."""
        return [
            {"type": "image", "value": self.path(part)}
            if isinstance(part, PicturePart)
            else {"type": "text", "value": part.text}
            for part in turn.parts
        ]

    def conversation(
        self, turns: Sequence[Turn], answers: Sequence[str]
    ) -> list[dict[str, object]]:
        """Every turn so far with its answer, and the present one."""
        said: list[dict[str, object]] = []
        for number, turn in enumerate(turns):
            said.append({"role": "user", "content": self.message(turn)})
            if number < len(answers):
                content = [{"type": "text", "value": answers[number]}]
                said.append({"role": "assistant", "content": content})
        return said


def _outcome(told: Mapping[str, Any]) -> Outcome:
    if "error" in told:
        # Upstream's loop would end here, dataset and all. The same question fails the same way again, unless
        # the card was full or lost.
        passing = told["kind"] in {"out_of_memory", "card_lost"}
        return AttemptFailure(
            reason=UnscoredReason.SERVER_ERROR
            if passing
            else UnscoredReason.REQUEST_REJECTED,
            message=str(told["error"])[:500],
            kind=str(told["kind"]),
            permanent=not passing,
        )
    text = str(told["text"])
    if not text.strip():
        return AttemptFailure(
            reason=UnscoredReason.EMPTY_ANSWER,
            message="the answer is empty",
            kind="empty answer",
        )
    if FAIL_TEXT in text:
        return AttemptFailure(
            reason=UnscoredReason.BAD_RESPONSE,
            message="the answer holds VLMEvalKit's own failure text",
            kind="bad response",
        )
    return Answer(text=text)


def _line(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
