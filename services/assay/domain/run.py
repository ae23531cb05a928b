"""A run as it was accepted: models x datasets, every type fixed, no keys, no defaults left to guess.

`config/` makes it from the user's file, `runs/<run_id>/spec.json` keeps it, every service reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Mode(StrEnum):
    """What a run does (VLMEvalKit's `mode`)."""

    ALL = "all"
    INFER = "infer"
    EVAL = "eval"


@dataclass(frozen=True, slots=True, kw_only=True)
class PicturePolicy:
    """How a picture is put on the wire; part of a prepared dataset's digest.

    Attributes:
        img_size: longest side in pixels a picture is shrunk to (`PIL.thumbnail`); -1: as it is.
        max_file_size: bytes of base64 above which upstream shrinks the picture.
        files: keep the files that upstream would write and the table's rows, for a model that runs in
            the worker, instead of JPEG for the wire; the other fields are then without effect.
    """

    img_size: int = -1
    max_file_size: int = 1_000_000_000
    files: bool = False

    def identity(self) -> dict[str, object]:
        """What of it names a prepared dataset."""
        if self.files:
            return {"files": True}
        return {"img_size": self.img_size, "max_file_size": self.max_file_size}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """What goes into a request body beside the prompt, as VLMEvalKit's CustomAPIModel names it.

    Attributes:
        temperature: sent unless the served name is one of upstream's reasoning models.
        max_tokens: sent as `max_tokens`, or `max_completion_tokens` for those names.
        img_detail: `high` or `low`, beside every picture.
        system_prompt: sent as a first message with role `system`; None: no such message.
        extra: every parameter upstream does not know, copied into the body.
    """

    temperature: float = 0.0
    max_tokens: int = 2048
    img_detail: str = "high"
    system_prompt: str | None = None
    extra: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where and how patiently a model is asked; never part of a digest.

    Attributes:
        api_base: the whole chat-completions URL, used verbatim.
        timeout: seconds for one attempt (upstream allows 1.1 times this; so do we).
        retry: attempts for one sample, transient failures only.
        wait: seconds; the scale of the back-off between attempts.
        use_azure: send the key as an `api-key` header instead of a bearer token.
    """

    api_base: str
    timeout: float = 300.0
    retry: int = 6
    wait: float = 1.0
    use_azure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """An engine that is launched beside each worker of a model: what of it can change an answer.

    Attributes:
        image: of its container.
        weights: what it loads, as it names it; empty: its image or its arguments say.
        command, args: of its container; `$(NAME)` stands for what differs from pod to pod.
    """

    image: str
    weights: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalModel:
    """A model class of VLMEvalKit's that a worker builds in a process of its own.

    Attributes:
        weights: what the class loads: a folder, or the name of a repository of a hub.
        argument: the constructor's argument that names them.
        arguments: the other constructor arguments, of those the user gave and the class takes.
        digest: of the folder's files; empty: not known when the run was accepted.
        trust_remote_code: code that comes with the weights may run.
        hub: address of the hub (a mirror); empty: its own.
        gpus: cards that one replica is given; every replica is a process of its own.
        python: the interpreter that has torch; empty: the worker's environment says.
        any_transformers: build it with whichever transformers is there.
    """

    weights: str
    argument: str = "model_path"
    arguments: Mapping[str, object] = field(default_factory=dict)
    digest: str = ""
    trust_remote_code: bool = False
    hub: str = ""
    gpus: int = 1
    python: str = ""
    any_transformers: bool = False

    def identity(self) -> dict[str, object]:
        """What of it can change an answer: a known digest names weights wherever they lie."""
        weights = {"digest": self.digest} if self.digest else {"weights": self.weights}
        return {"arguments": dict(self.arguments), **weights}


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model under test.

    Attributes:
        key: its name in folders, reports and `models.<key>`; unique within a run.
        kind: VLMEvalKit's `name`: `CustomAPIModel`, or that of a local model.
        served_name: the `model` field of the request body (upstream's `type`).
        revision: free text that tells apart weights behind one name.
        nproc: requests in flight for this model over all workers.
        launched: the engine that the run launches for it; None: it is served elsewhere.
        local: how a worker builds it; None: it is asked at its endpoint.
    """

    key: str
    kind: str
    served_name: str
    endpoint: Endpoint
    decoding: Decoding = field(default_factory=Decoding)
    pictures: PicturePolicy = field(default_factory=PicturePolicy)
    revision: str | None = None
    nproc: int = 4
    launched: Launched | None = None
    local: LocalModel | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOverride:
    """Where the user says a dataset's TSV is: exactly one of `url`, `path`, `s3` is set.

    Attributes:
        url: http(s) address.
        path: local file, absolute.
        s3: `s3://bucket/key`.
        md5, sha256: hex digests the file must have; a given one replaces upstream's.
    """

    url: str | None = None
    path: str | None = None
    s3: str | None = None
    md5: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One dataset of a run, by VLMEvalKit's name.

    Attributes:
        source: where the user says its file is; None: $LMUData, then upstream's address.
        members: the datasets that make it up, in upstream's order; empty: it has a file of its own.
    """

    name: str
    source: SourceOverride | None = None
    members: tuple[Dataset, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """A judge model, without its key.

    Attributes:
        label: what upstream's result files call it; empty: what upstream would have asked, by dataset
            (`assay.domain.judge.default_label`).
        served_name: its name in requests.
        api_base: the whole chat-completions URL.
        settings: more of the settings of upstream's judge client; what it does not know goes into the
            request body.
        slots: requests in flight.
        attempts: per request.
        timeout: seconds for one request.
        launched: the engine that the run launches for it; None: it is served elsewhere.
    """

    label: str
    served_name: str
    api_base: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    slots: int = 4
    attempts: int = 6
    timeout: float = 600.0
    launched: Launched | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One accepted evaluation request.

    Attributes:
        name: what the user calls it (`run_name`); empty: nothing.
        limit: the first N samples of every dataset; None: all.
        judge: `exact_matching`, or a judge model's name.
        judge_chosen: whether the user named the judge (else `exact_matching` is what is left).
        judge_model: who is asked where rules cannot decide; None: rules decide alone.
        judge_prices: what a million of the judge's prompt and completion tokens cost; 0: not known.
        coverage_threshold: scored / total below which a task's score is withheld, 0 to 1.
        endpoint_patience: seconds a dead endpoint is waited for before the run ends FAILED.
        mirrors: URL prefix -> replacement, applied to every dataset address.
        fresh: a free word that makes an otherwise equal run another one.
        endpoint_moved: models that have answered may be asked at another address: they are the same.
        notes: what was accepted without effect or mapped, one sentence each, for the report.
    """

    name: str = ""
    models: tuple[Model, ...]
    datasets: tuple[Dataset, ...]
    mode: Mode = Mode.ALL
    limit: int | None = None
    judge: str = "exact_matching"
    judge_chosen: bool = False
    judge_model: Judge | None = None
    judge_prices: tuple[float, float] = (0.0, 0.0)
    coverage_threshold: float = 1.0
    endpoint_patience: float = 120.0
    mirrors: Mapping[str, str] = field(default_factory=dict)
    fresh: str = ""
    endpoint_moved: bool = False
    notes: tuple[str, ...] = ()
