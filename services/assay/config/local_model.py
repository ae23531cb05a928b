"""A local model of the file: its class found, its arguments sorted, its weights known by their digest.

`modelset.py` calls it. What a class does not take is dropped and said, since upstream would fail on it in the
middle of a run, or hand it on to generation.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.config.evalconfig import EvalConfig
from assay.config.naming import located, model_key
from assay.config.problems import nearest, printable
from assay.config.upstream_models import (
    UpstreamClass,
    UpstreamModel,
    class_of,
    registry,
    takes,
    upstream_root,
)
from assay.domain.errors import ConfigError
from assay.domain.run import Decoding, Endpoint, LocalModel, Model, PicturePolicy

_TIMEOUT = 1800.0
"""Seconds for one sample; upstream waits for ever."""
_OURS = {
    "trust_remote_code": bool,
    "any_transformers": bool,
    "gpus": int,
    "python": str,
    "revision": str,
    "weights_sha256": str,
}
"""Keys of ours beside the class's arguments, and their types."""
_HUB = "hf://"
_READERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmittedLocal:
    """A local model, and what the report says of it."""

    model: Model
    notes: tuple[str, ...]


def admit_local(
    name: str,
    given: Mapping[str, Any],
    path: str,
    config: EvalConfig,
    base_dir: Path | None,
) -> AdmittedLocal:
    """The model of an entry that names one of VLMEvalKit's classes.

    Args:
        name: of `supported_VLM`.
        given: the entry's other keys.
        path: of the entry, for messages.
        config: the file's settings for all models.
        base_dir: what relative paths start from; None: the weights are not here, but in pods.

    Raises:
        ConfigError: there is no such name, its arguments are wrong, or its weights are not there.
    """
    root = upstream_root()
    if root is None:
        raise ConfigError(
            f"{path}.name",
            "VLMEvalKit is not installed here, so nobody can say what its class takes",
            "install Assay as its README says",
        )
    upstream = _known(name, path, root)
    cls = class_of(root, upstream.cls)
    assert cls is not None, f"{upstream.cls} is in the registry and not in the source"
    ours = {key: _ours(key, given[key], path) for key in _OURS if key in given}
    taken = {k: v for k, v in given.items() if k not in _OURS and takes(cls, k)}
    dropped = [key for key in given if key not in _OURS and key not in taken]
    weights, digest = _weights(taken, upstream, cls, path, base_dir)
    local = LocalModel(
        weights=weights,
        argument=cls.weights,
        arguments={key: v for key, v in taken.items() if key != cls.weights},
        digest=_meant(digest, ours.get("weights_sha256", ""), weights, path),
        trust_remote_code=ours.get("trust_remote_code", False),
        gpus=ours.get("gpus", 1),
        python=ours.get("python", ""),
        any_transformers=ours.get("any_transformers", False),
    )
    model = Model(
        key=model_key(name, f"{path}.name"),
        kind=name,
        served_name=name,
        revision=ours.get("revision"),
        nproc=config.api_nproc if config.nproc is None else config.nproc,
        endpoint=Endpoint(
            api_base=f"local:{name}",
            timeout=config.timeout or _TIMEOUT,
            retry=config.retry,
        ),
        decoding=Decoding(),
        pictures=PicturePolicy(files=True),
        local=local,
    )
    return AdmittedLocal(model=model, notes=tuple(_notes(path, cls, dropped, local)))


def _meant(digest: str, wanted: str, weights: str, path: str) -> str:
    """The digest of the weights: as they are here, or as the user says."""
    if digest and wanted and wanted != digest:
        raise ConfigError(
            f"{path}.weights_sha256",
            f"the weights in {weights} are {digest}",
            "name those that are meant, or remove it",
        )
    return digest or wanted


def _known(name: str, path: str, root: Path) -> UpstreamModel:
    names = registry(root)
    upstream = names.get(name)
    if upstream is None:
        guess = nearest(name, names)
        hint = f"did you mean {guess}? " if guess else ""
        raise ConfigError(
            f"{path}.name",
            f"VLMEvalKit has no model {printable(name)}",
            f"{hint}`assay models list` shows all; a model that is served goes by name: CustomAPIModel "
            "with its `type` and `api_base`",
        )
    if not upstream.local:
        raise ConfigError(
            f"{path}.name",
            f"{name} is a client of a service ({upstream.cls}), not a model that can be built",
            "use name: CustomAPIModel with the service's OpenAI-compatible address as api_base",
        )
    return upstream


def _ours(key: str, value: object, path: str) -> Any:
    kind = _OURS[key]
    right = isinstance(value, kind) and (kind is bool) == isinstance(value, bool)
    if not right or (key == "gpus" and value == 0):
        words = {bool: "true or false", int: "a whole number from 1", str: "text"}
        raise ConfigError(
            f"{path}.{key}", f"is {printable(value)}", f"write {words[kind]}"
        )
    return value


def _weights(
    taken: Mapping[str, Any],
    upstream: UpstreamModel,
    cls: UpstreamClass,
    path: str,
    base_dir: Path | None,
) -> tuple[str, str]:
    """What the class is to load, and the digest of its files; empty: they are a hub's."""
    field = f"{path}.{cls.weights}"
    given = taken.get(cls.weights)
    if given is None:
        usual = upstream.defaults.get(cls.weights)
        if isinstance(usual, str) and usual:
            return usual, ""
        raise ConfigError(
            field, "names no weights", f"write {cls.weights}: <folder with the weights>"
        )
    if not isinstance(given, str) or not given:
        raise ConfigError(field, f"is {printable(given)}", "write the folder's name")
    if given.startswith(_HUB):
        return given.removeprefix(_HUB), ""
    if base_dir is None:
        return _in_pods(given, upstream, field), ""
    folder = located(given, base_dir).absolute()
    if folder.is_dir():
        return str(folder), digest_of(folder, field)
    if given in _repositories(upstream):
        return given, ""
    raise ConfigError(
        field,
        f"there is no folder {printable(str(folder), 200)}",
        f"put the weights there, or name the hub's repository as {_HUB}owner/name",
    )


def _in_pods(given: str, upstream: UpstreamModel, field: str) -> str:
    if given.startswith("/") or given in _repositories(upstream):
        return given
    raise ConfigError(
        field,
        f"{printable(given, 200)} starts from a folder, and pods have none of yours",
        "write where the weights' claim is mounted, such as /weights/Qwen-VL-Chat (models.<key>.local)",
    )


def _repositories(upstream: UpstreamModel) -> frozenset[object]:
    root = upstream_root()
    assert root is not None
    same = (m for m in registry(root).values() if m.cls == upstream.cls)
    return frozenset(value for model in same for value in model.defaults.values())


def digest_of(folder: Path, field: str) -> str:
    """Names weights by the bytes of their files; a gigabyte takes about a second.

    Raises:
        ConfigError: a file cannot be read.
    """
    files = sorted(
        Path(at) / name
        for at, folders, names in os.walk(folder)
        for name in names
        if not _hidden(folders) and not name.startswith(".")
    )
    try:
        with ThreadPoolExecutor(_READERS, thread_name_prefix="weights") as pool:
            digests = list(pool.map(_file_digest, files))
    except OSError as error:
        raise ConfigError(
            field, f"cannot read {error.filename}: {error.strerror}", "make it readable"
        ) from error
    whole = hashlib.sha256()
    for file, digest in zip(files, digests, strict=True):
        whole.update(f"{file.relative_to(folder)}\0{digest}\n".encode())
    return whole.hexdigest()


def _hidden(folders: list[str]) -> bool:
    """Leaves hidden folders (a hub's cache, git) out of the walk."""
    folders[:] = [each for each in folders if not each.startswith(".")]
    return False


def _file_digest(path: Path) -> str:
    with path.open("rb", buffering=0) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _notes(
    path: str, cls: UpstreamClass, dropped: list[str], local: LocalModel
) -> list[str]:
    notes = []
    if dropped:
        verb = "is" if len(dropped) == 1 else "are"
        notes.append(
            f"{path}: {', '.join(dropped)} {verb} dropped: the class {cls.name} takes no such argument."
        )
    if local.digest:
        notes.append(f"{path}: the weights are {local.digest[:16]}.")
    elif local.weights.startswith("/"):
        notes.append(
            f"{path}: the weights are what {local.weights} holds; `weights_sha256` would say which."
        )
    else:
        notes.append(
            f"{path}: the weights are what the hub gives for {local.weights}; `revision` pins them."
        )
    notes.append(
        f"{path}: runs in the worker, one sample at a time per replica; nproc says how many are held ready."
    )
    return notes
