"""From a user's file to an EvalRun and a Secret with its keys, checked as the controller will check them.

`assay submit` calls `submission_of`, shows what it says, and `submit`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from assay.cluster.evalruns import EvalRun
from assay.cluster.place import Place
from assay.cluster.releases import COMPONENT, INSTANCE, NAME, Data, Release
from assay.config import parse, resolve
from assay.config.chart import Platform
from assay.config.file import EvalFile
from assay.config.problems import joined
from assay.config.read import inlined, mapping_of
from assay.controller import evalrun as controller
from assay.controller.placement import addressed, read_placement
from assay.domain.errors import AssayError, ConfigError, NotFoundError
from assay.domain.judge import JUDGE_QUEUE
from assay.kube.resources import EVAL_RUNS, SECRETS

MANAGER = "assay-submit"
_MANAGED_BY = "app.kubernetes.io/managed-by"
_LONGEST_NAME = 63
_PLACED = ("models", "judge", "gpuPhases", "gpuResource", "queue", "scorer")
"""Keys of the platform that are a run's own: they go into its placement."""

_JUDGE_KEYS = ("judge_key", "OPENAI_API_KEY")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What is to be written.

    Attributes:
        spec: of the EvalRun.
        keys: what its Secret is to hold.
        notes: what of the file has no effect, or another than one might think.
    """

    name: str
    spec: Mapping[str, Any]
    keys: Mapping[str, str]
    notes: tuple[str, ...]


def submission_of(
    file: Path, name: str | None, *, environ: Mapping[str, str]
) -> Submission:
    """Reads a file and admits it.

    Args:
        file: EvalScope's, with the chart's keys for one run if need be.
        name: of the EvalRun; None: after the file's `run_name`, else after the file.
        environ: for keys and addresses that upstream reads there.

    Raises:
        ConfigError: everything that is refused, with its path in the file.
    """
    given = dict(mapping_of(file))
    placement = {key: given.pop(key) for key in _PLACED if key in given}
    suspend = bool(given.pop("suspend", False))
    _refuse_platform(given)
    document = inlined(given)
    # The engines that are launched have addresses of which the file need not speak.
    served = addressed(document, read_placement(placement))
    resolved = resolve(
        parse(served),
        environ=environ,
        lmu_data=(),
        base_dir=file.resolve().parent,
        here=False,
    )
    name = name or name_of(str(document.get("run_name") or "") or file.stem)
    _check_name(name)
    keys = {
        f"model.{place}": resolved.secrets[model.key].get_secret_value()
        for place, model in enumerate(resolved.run.models)
    }
    if JUDGE_QUEUE in resolved.secrets:
        keys["judge"] = resolved.secrets[JUDGE_QUEUE].get_secret_value()
    addresses = [
        "" if model.local or entry.get("api_base") else model.endpoint.api_base
        for entry, model in zip(
            served["eval_config"]["model"], resolved.run.models, strict=True
        )
    ]
    spec = {
        "file": _without_keys(document, addresses),
        "keysSecret": f"{name}-keys",
        "suspend": suspend,
        "placement": placement,
    }
    _check(name, spec)
    return Submission(name=name, spec=spec, keys=keys, notes=resolved.run.notes)


def name_of(text: str) -> str:
    """A name that Kubernetes takes, made of the user's words."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower())
    return plain[:_LONGEST_NAME].strip("-") or "evaluation"


def submit(place: Place, release: Release, wanted: Submission) -> tuple[EvalRun, str]:
    """Writes the Secret and the EvalRun; returns it, and `created`, `changed` or `unchanged`.

    Raises:
        ConfigError: the name is taken by what is not ours to change.
        ConflictError: somebody else has changed what would be changed.
        UnavailableError, PermissionDeniedError, UnauthenticatedError, PermanentError: as the API server
            refuses.
    """
    former = _present(place, release, wanted.name)
    labels = {
        NAME: "assay",
        INSTANCE: release.name,
        COMPONENT: "run",
        "app.kubernetes.io/part-of": "assay",
        _MANAGED_BY: MANAGER,
    }
    secret = str(wanted.spec["keysSecret"])
    _write_keys(place, secret, labels, wanted.keys)
    try:
        written = place.api.apply(
            EVAL_RUNS,
            wanted.name,
            {"metadata": {"labels": labels}, "spec": wanted.spec},
            place.namespace,
            of=EvalRun,
            manager=MANAGER,
        )
    except AssayError:
        if former is None:
            # A Secret without its run would be nobody's; why there is no run counts more than this.
            with suppress(AssayError):
                place.api.delete(SECRETS, secret, place.namespace)
        raise
    _give(place, secret, written)
    if former is None:
        return written, "created"
    same = former.metadata.generation == written.metadata.generation
    return written, "unchanged" if same else "changed"


def _present(place: Place, release: Release, name: str) -> EvalRun | None:
    """What has the name already, if it is ours to change; None: nothing has."""
    try:
        found = place.api.get(EVAL_RUNS, name, place.namespace, of=EvalRun)
    except NotFoundError as error:
        if error.cure:
            raise  # The kind itself is not there.
        return None
    manager = (found.metadata.labels or {}).get(_MANAGED_BY, "")
    if manager != MANAGER:
        raise ConfigError(
            "--name",
            f"the run {name} in namespace {place.namespace} was made by {manager or 'somebody else'}",
            f"change it there (helm upgrade {release.name}, kubectl edit), or name yours with --name",
        )
    if found.release != release.name:
        raise ConfigError(
            "--release",
            f"the run {name} is of release {found.release}",
            f"write --release {found.release}, or name yours with --name",
        )
    return found


def _write_keys(
    place: Place, name: str, labels: Mapping[str, str], keys: Mapping[str, str]
) -> None:
    try:
        found = place.api.get(SECRETS, name, place.namespace, of=Data)
    except NotFoundError:
        pass
    else:
        if (found.metadata.labels or {}).get(_MANAGED_BY) != MANAGER:
            raise ConfigError(
                "--name",
                f"there is a Secret {name} in namespace {place.namespace} that is not ours",
                "give the run another name",
            )
    data = {each: base64.b64encode(key.encode()).decode() for each, key in keys.items()}
    place.api.apply(
        SECRETS,
        name,
        {"metadata": {"labels": labels}, "type": "Opaque", "data": data},
        place.namespace,
        of=Data,
        manager=MANAGER,
    )


def _give(place: Place, secret: str, owner: EvalRun) -> None:
    """Lets the Secret go when its run is deleted."""
    reference = {
        "apiVersion": EVAL_RUNS.api_version,
        "kind": EVAL_RUNS.kind,
        "name": owner.name,
        "uid": owner.metadata.uid,
    }
    change = {"metadata": {"ownerReferences": [reference]}}
    place.api.merge(SECRETS, secret, change, place.namespace, of=Data)


def _refuse_platform(given: Mapping[str, Any]) -> None:
    ours = {field.alias or name for name, field in Platform.model_fields.items()}
    found = sorted((ours - set(EvalFile.model_fields)) & set(given))
    problems = [
        ConfigError(
            key,
            "is of the platform, which is installed already",
            "remove it from this file; helm upgrade changes the platform",
        )
        for key in found
    ]
    if problems:
        raise joined(problems)


def _check_name(name: str) -> None:
    if len(name) > _LONGEST_NAME or name != name_of(name):
        raise ConfigError(
            "--name",
            f"{name!r} is no name that Kubernetes takes",
            f"write at most {_LONGEST_NAME} lower-case letters, digits and dashes, such as {name_of(name)}",
        )


def _without_keys(document: Mapping[str, Any], addresses: list[str]) -> dict[str, Any]:
    """The file as the EvalRun has it: no keys, and addresses that only this machine knew."""
    config = {
        key: value
        for key, value in document["eval_config"].items()
        if key not in _JUDGE_KEYS
    }
    config["model"] = [
        {
            **{key: value for key, value in entry.items() if key != "key"},
            **({"api_base": address} if address else {}),
        }
        for entry, address in zip(config["model"], addresses, strict=True)
    ]
    rest = {key: value for key, value in document.items() if key != "api_key"}
    return {**rest, "eval_config": config}


def _check(name: str, spec: Mapping[str, Any]) -> None:
    """Has the EvalRun read as the controller reads it; paths are those of the file.

    Raises:
        ConfigError: everything that it would refuse.
    """
    body = {"metadata": {"name": name}, "spec": spec}
    item = msgspec.convert(body, controller.EvalRun)
    try:
        controller.read(item)
    except ConfigError as error:
        raise joined([_in_file(problem) for problem in error.problems]) from None


def _in_file(problem: ConfigError) -> ConfigError:
    """The same in the words of the file, where both parts stand at the top."""
    path, cure = problem.path, problem.cure or ""
    for place in ("spec.file.", "spec.placement.", "spec."):
        path, cure = path.replace(place, ""), cure.replace(place, "")
    return ConfigError(path, problem.why, cure)
