"""The models of a run: parameters as CustomAPIModel reads them, folders of their own, keys apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import SecretStr

from assay.config.endpoints import address_of, key_of
from assay.config.evalconfig import EvalConfig
from assay.config.local_model import admit_local
from assay.config.model import ModelConfig
from assay.config.naming import model_key, unique_keys
from assay.config.notes import no_effect
from assay.config.problems import kept
from assay.domain.errors import ConfigError
from assay.domain.run import Decoding, Endpoint, Model, PicturePolicy

_TIMEOUT = 300.0
"""Seconds; CustomAPIModel's own default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSet:
    """The admitted models; `secrets` holds each one's bearer token by its key."""

    models: tuple[Model, ...]
    secrets: Mapping[str, SecretStr]
    notes: tuple[str, ...]


def admit_models(
    config: EvalConfig,
    problems: list[ConfigError],
    environ: Mapping[str, str],
    base_dir: Path | None,
    hub: str = "",
) -> ModelSet:
    """The models of the file; what is refused is added to `problems`, and its model left out.

    Args:
        config: the file's.
        problems: takes what is refused.
        environ: for keys and addresses.
        base_dir: what paths of weights start from; None: they are paths of pods.
        hub: a mirror of the hub that weights come from; empty: itself.
    """
    models: list[Model] = []
    tokens: list[SecretStr] = []
    notes: list[str] = []
    for place, entry in enumerate(config.model):
        path = f"eval_config.model[{place}]"
        with kept(problems):
            if entry in config.model[:place]:
                raise ConfigError(
                    path, "stands twice, word for word", "remove one of them"
                )
            if entry.local_arguments is not None:
                local = admit_local(
                    entry.name, entry.local_arguments, path, config, base_dir
                )
                models.append(_at_hub(local.model, hub))
                tokens.append(SecretStr("EMPTY"))
                notes += local.notes
                continue
            model, token = (
                _model(entry, path, config, environ),
                key_of(entry, path, environ),
            )
            models.append(model)
            tokens.append(token)
            notes += _model_notes(entry, path, config, model)
    keys = unique_keys([model.key for model in models])
    notes += [
        f"{model.served_name} goes by {key} here: {model.key} would share a folder with another."
        for model, key in zip(models, keys, strict=True)
        if model.key != key
    ]
    return ModelSet(
        models=tuple(replace(m, key=key) for m, key in zip(models, keys, strict=True)),
        secrets=dict(zip(keys, tokens, strict=True)),
        notes=tuple(notes),
    )


def _model(
    entry: ModelConfig, path: str, config: EvalConfig, environ: Mapping[str, str]
) -> Model:
    if "ernie" in entry.type:
        raise ConfigError(
            f"{path}.type",
            "holds `ernie`, for which VLMEvalKit asks Baidu's public endpoint whatever api_base says",
            "serve the model under another name (vLLM: --served-model-name)",
        )
    if entry.total_img_size > 0 and entry.img_size > 0:
        raise ConfigError(
            f"{path}.total_img_size",
            "beside img_size upstream divides img_size by the pictures' number, whatever this says",
            "remove it, and choose img_size for one picture",
        )
    timeout = entry.timeout or config.timeout or _TIMEOUT
    return Model(
        key=model_key(entry.type, f"{path}.type"),
        kind=entry.name,
        served_name=entry.type,
        revision=entry.revision,
        nproc=config.api_nproc if config.nproc is None else config.nproc,
        endpoint=Endpoint(
            api_base=address_of(entry, path, environ),
            timeout=timeout,
            retry=config.retry,
            wait=entry.wait,
            use_azure=entry.use_azure,
        ),
        decoding=Decoding(
            temperature=entry.temperature,
            max_tokens=entry.max_tokens,
            img_detail=entry.img_detail,
            system_prompt=entry.system_prompt,
            extra=entry.body_parameters(),
        ),
        pictures=PicturePolicy(
            img_size=entry.img_size, max_file_size=entry.max_file_size
        ),
    )


def _at_hub(model: Model, hub: str) -> Model:
    assert model.local is not None
    return replace(model, local=replace(model.local, hub=hub))


def _model_notes(
    entry: ModelConfig, path: str, config: EvalConfig, model: Model
) -> list[str]:
    notes = no_effect(entry, path)
    if model.decoding.extra:
        sent = ", ".join(model.decoding.extra)
        notes.append(
            f"{path}: {sent} goes into every request body, as upstream's does."
        )
    if entry.retry is not None and entry.retry != config.retry:
        notes.append(
            f"{path}.retry is overridden by eval_config.retry: {config.retry}, as upstream's is."
        )
    if entry.total_img_size > 0:
        notes.append(f"{path}.total_img_size has no effect without img_size.")
    if entry.api_base == "OFFICIAL":
        notes.append(f"{path}.api_base: OFFICIAL is {model.endpoint.api_base}.")
    if entry.use_azure and entry.api_base is not None:
        notes.append(
            f"{path}.api_base is asked as it is written; VLMEvalKit would build Azure's address "
            "from the environment."
        )
    if entry.key is None:
        notes.append(f"{path}.key is taken from the environment.")
    return notes
