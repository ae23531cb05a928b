"""From an EvalRun as it was read to the run it asks for, or the one reason why it cannot be run.

The controller calls `admitted` whenever it sees an EvalRun. The file goes through the same room as that of
`assay run`; what only makes sense on one machine is refused here, with the cure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from assay.config import parse, resolve
from assay.config.problems import joined, kept
from assay.controller.conditions import EvalRunStatus
from assay.controller.placement import (
    Placement,
    addressed,
    check_placement,
    is_loopback,
    read_placement,
    with_engines,
)
from assay.domain.errors import ConfigError
from assay.domain.identity import spec_digest
from assay.domain.judge import EXACT
from assay.domain.run import Run
from assay.kube.objects import KubeObject

_LONGEST_NAME = 24
"""Of an EvalRun inside the names of its Jobs: pods add words of theirs, and 63 is the limit."""
_PATIENCE = 10**9
"""Seconds: a dead endpoint is waited for with a condition that says so, unless the file names a patience."""
_PLAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_NO_KEY = (None, "", "EMPTY")
_JUDGE_KEYS = ("OPENAI_API_KEY", "judge_key")


class EvalRunSpec(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """What a user asks for; absent fields may be null."""

    file: dict[str, Any]
    keys_secret: str | None = None
    answers_of: str | None = None
    suspend: bool | None = None
    ttl_seconds_after_finished: int | None = None
    placement: dict[str, Any] | None = None


class EvalRun(KubeObject, frozen=True, kw_only=True):
    """An EvalRun as it was read."""

    spec: EvalRunSpec
    status: msgspec.Raw = msgspec.Raw(b"{}")

    def told(self) -> EvalRunStatus:
        """The status as it is; empty where it cannot be read.

        It is ours to write whole, and one that another version wrote must not make us deaf to all EvalRuns.
        """
        try:
            return msgspec.json.decode(self.status, type=EvalRunStatus)
        except msgspec.ValidationError:
            return EvalRunStatus()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What an EvalRun asks for.

    Attributes:
        keys_secret: a Secret with `model.N` for the N-th model; empty: no model needs a key.
        ttl: seconds after which Jobs of a finished run go; None: never.
        answers_of: an execution whose equal tasks it goes on from; empty: its own former ones alone.
    """

    run_id: str
    spec_digest: str
    run: Run
    placement: Placement
    keys_secret: str = ""
    suspend: bool = False
    ttl: int | None = None
    answers_of: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What became of one generation of an EvalRun.

    Attributes:
        request: None: it is refused.
        refusal: why, with path and cure; None: it is not.
    """

    uid: str
    generation: int
    request: Request | None = None
    refusal: ConfigError | None = None


def admitted(item: EvalRun, former: Admission | None = None) -> Admission:
    """Admits an EvalRun, or says why not; an unchanged generation gets the answer it had."""
    metadata = item.metadata
    same = former is not None and former.uid == metadata.uid
    if former is not None and same and former.generation == metadata.generation:
        return former
    try:
        request, refusal = read(item), None
    except ConfigError as error:
        request, refusal = None, error
    return Admission(
        uid=metadata.uid,
        generation=metadata.generation,
        request=request,
        refusal=refusal,
    )


def read(item: EvalRun) -> Request:
    """The run that an EvalRun asks for.

    Raises:
        ConfigError: everything that is refused, each with its path below `spec`.
    """
    spec = item.spec
    with _below("spec.placement"):
        placement = read_placement(spec.placement or {})
    with _below("spec.file"):
        run = with_engines(
            _run(addressed(spec.file, placement), keyed=bool(spec.keys_secret)),
            placement,
        )
        _check_addresses(run)
    with _below("spec.placement"):
        check_placement(placement, run)
    digest = spec_digest(run)
    return Request(
        run_id=run_id(item.metadata.name, digest),
        spec_digest=digest,
        run=run,
        placement=placement,
        keys_secret=spec.keys_secret or "",
        suspend=bool(spec.suspend),
        ttl=spec.ttl_seconds_after_finished,
        answers_of=spec.answers_of or "",
    )


def run_id(name: str, digest: str) -> str:
    """Names an execution: fit for labels, names of pods, audiences and keys of the store.

    Two EvalRuns never share one: a name that had to be changed has a digest of itself in it.
    """
    part = name
    if len(name) > _LONGEST_NAME or not _PLAIN.fullmatch(name):
        plain = re.sub(r"[^a-z0-9-]+", "-", name)[: _LONGEST_NAME - 7].strip("-")
        part = f"{plain}-{sha256(name.encode()).hexdigest()[:6]}"
    return f"{part}-{digest[:8]}"


def _run(file: Mapping[str, Any], *, keyed: bool) -> Run:
    problems: list[ConfigError] = []
    for check in (_check_inline, _check_keys, _check_sources, _check_machine):
        with kept(problems):
            check(file)
    if problems:
        raise joined(problems)
    parsed = parse(_without_keys(file, keyed=keyed))
    # Relative paths have been refused: nothing is looked for on the controller's disk.
    resolved = resolve(parsed, environ={}, lmu_data=(), base_dir=Path("/"), here=False)
    if "endpoint_patience" in file:
        return resolved.run
    return replace(resolved.run, endpoint_patience=_PATIENCE)


def _check_inline(file: Mapping[str, Any]) -> None:
    if isinstance(file.get("eval_config"), str):
        raise ConfigError(
            "eval_config",
            "names a file, and pods have none of yours",
            "write its keys below eval_config",
        )


def _check_keys(file: Mapping[str, Any]) -> None:
    """Refuses keys: whoever may read EvalRuns would read them.

    Raises:
        ConfigError: names the first.
    """
    config = file.get("eval_config")
    given = config if isinstance(config, Mapping) else {}
    for path, key in (
        *((f"model[{n}].key", entry.get("key")) for n, entry in _models(given)),
        *((name, given.get(name)) for name in _JUDGE_KEYS),
    ):
        if key not in _NO_KEY:
            place = path.replace("[", ".").partition("]")[0]
            secret = place if place.startswith("model.") else "judge"
            raise ConfigError(
                f"eval_config.{path}",
                "is a secret, and an EvalRun can be read by many",
                f"put it into a Secret as {secret} and name that as spec.keysSecret",
            )


def _models(config: Mapping[str, Any]) -> list[tuple[int, Mapping[str, Any]]]:
    entries = config.get("model")
    listed = entries if isinstance(entries, Sequence) else ()
    return [(n, entry) for n, entry in enumerate(listed) if isinstance(entry, Mapping)]


def _without_keys(file: Mapping[str, Any], *, keyed: bool) -> dict[str, Any]:
    """The file as it is checked: no key is left to its default, one of the Secret is there."""
    config = file.get("eval_config")
    if not isinstance(config, Mapping):
        return dict(file)
    plain = {name: value for name, value in config.items() if name not in _JUDGE_KEYS}
    named = plain.get("LOCAL_LLM") or plain.get("judge")
    if keyed and named and plain.get("judge") != EXACT:
        # Some judges are asked with a key alone.
        plain["judge_key"] = "in the Secret"
    if isinstance(config.get("model"), list):
        plain["model"] = [
            {name: value for name, value in entry.items() if name != "key"}
            if isinstance(entry, Mapping)
            else entry
            for entry in config["model"]
        ]
    return {**file, "eval_config": plain}


def _check_sources(file: Mapping[str, Any]) -> None:
    sources = file.get("dataset_sources")
    for name, source in (sources if isinstance(sources, Mapping) else {}).items():
        given = source if isinstance(source, Mapping) else {}
        local = str(given.get("url") or "").startswith("file:")
        if given.get("path") is not None or local:
            raise ConfigError(
                f"dataset_sources.{name}.{'url' if local else 'path'}",
                "names a file of one machine, and pods have none of yours",
                "name it by url or s3, or put the dataset into the store with `assay datasets`",
            )


def _check_machine(file: Mapping[str, Any]) -> None:
    if file.get("use_cache") is not None:
        raise ConfigError(
            "use_cache",
            "names a folder, and runs of a cluster are kept in its store",
            "remove it: an EvalRun goes on with what it has answered before",
        )


def _check_addresses(run: Run) -> None:
    judge = run.judge_model
    if judge is not None and judge.launched is None and is_loopback(judge.api_base):
        raise ConfigError(
            "eval_config.judge_base_url",
            f"{urlsplit(judge.api_base).hostname} is a pod's own address, and no engine runs in it",
            "name where the judge is served, or have an engine launched there: spec.placement.judge.serving",
        )
    for place, model in enumerate(run.models):
        if model.local is not None:
            continue
        if model.launched is None and is_loopback(model.endpoint.api_base):
            host = urlsplit(model.endpoint.api_base).hostname
            raise ConfigError(
                f"eval_config.model[{place}].api_base",
                f"{host} is a pod's own address, and no engine runs in it",
                "name where the model is served, or have an engine launched there: "
                f"spec.placement.models.{model.key}.serving",
            )


@contextmanager
def _below(place: str) -> Iterator[None]:
    """Puts the place of a part before the paths of what is refused in it.

    Raises:
        ConfigError: the same, placed.
    """
    try:
        yield
    except ConfigError as error:
        raise joined(
            [
                ConfigError(f"{place}.{problem.path}", problem.why, problem.cure or "")
                for problem in error.problems
            ]
        ) from None
