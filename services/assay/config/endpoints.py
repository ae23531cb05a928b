"""A model's address and key, as upstream would find them, or the reason why they cannot be right."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit, urlunsplit

from pydantic import SecretStr

from assay.config.model import ModelConfig
from assay.config.problems import printable
from assay.domain.errors import ConfigError

OFFICIAL = "https://api.openai.com/v1/chat/completions"
_AZURE = (
    "AZURE_OPENAI_ENDPOINT",
    "AZURE_OPENAI_DEPLOYMENT_NAME",
    "OPENAI_API_VERSION",
)
_EXAMPLE = "http://localhost:8000/v1/chat/completions"
_PLAIN = re.compile(r"(\w+://[\w.-]+|[\w.-]+(?=[:/]))(:\d*)?(/[\w./-]*)?")
"""An address as people write one: a scheme, a port or a path tells it from a key."""
_BASE_ONLY = re.compile(r"/v\d+(?:beta\d*)?$")
_OTHER_CALLS = (
    *("/completions", "/models", "/responses", "/embeddings", "/messages"),
    *("/api/chat", "/api/generate"),
)


def address_of(model: ModelConfig, path: str, environ: Mapping[str, str]) -> str:
    """The URL that is asked, verbatim.

    Raises:
        ConfigError: there is none, or it is not a chat-completions URL.
    """
    given = model.api_base
    if given is None and model.use_azure:
        given = _azure_address(path, environ)
    if given is None:
        raise ConfigError(
            f"{path}.api_base",
            "is missing: which server is asked is never guessed",
            f"write the whole chat-completions URL, such as {_EXAMPLE}",
        )
    if given == "OFFICIAL":
        return OFFICIAL
    check_address(given, f"{path}.api_base")
    return given


def key_of(model: ModelConfig, path: str, environ: Mapping[str, str]) -> SecretStr:
    """The bearer token: the file's, or the environment's where the file says null.

    Raises:
        ConfigError: null without one in the environment, or not fit for a header.
    """
    key = model.key
    if model.use_azure and "key" not in model.model_fields_set:
        key = SecretStr(environ.get("AZURE_OPENAI_API_KEY", "EMPTY"))
    if key is None:
        name = "AZURE_OPENAI_API_KEY" if model.use_azure else "OPENAI_API_KEY"
        if not environ.get(name):
            raise ConfigError(
                f"{path}.key",
                f"is null, and the environment has no {name}",
                f"write the key, set {name}, or remove the line for a server that needs none",
            )
        key = SecretStr(environ[name])
    secret = key.get_secret_value()
    if secret != secret.strip() or not (secret.isascii() and secret.isprintable()):
        raise ConfigError(
            f"{path}.key",
            "cannot be sent in a header: it has a line end, outer spaces or letters beyond ASCII",
            "write the key alone, on one line",
        )
    return key


def _azure_address(path: str, environ: Mapping[str, str]) -> str:
    missing = [name for name in _AZURE if not environ.get(name)]
    if missing:
        raise ConfigError(
            f"{path}.api_base",
            f"is missing, and for use_azure the environment lacks {', '.join(missing)}",
            "set them, or write the whole URL "
            "https://HOST/openai/deployments/NAME/chat/completions?api-version=VERSION",
        )
    endpoint, deployment, version = (environ[name] for name in _AZURE)
    return (
        f"{endpoint}openai/deployments/{deployment}"
        f"/chat/completions?api-version={version}"
    )


def check_address(address: str, path: str) -> None:
    """Sees to it that an address is a chat-completions URL.

    Raises:
        ConfigError: it is not.
    """
    parts = _split(address, path)
    if parts.username is not None or parts.password is not None:
        raise ConfigError(
            path,
            "holds a user name or password, which would stand in reports and logs",
            "remove everything before the @ and write the token into key",
        )
    bare = parts.path.rstrip("/")
    shown = urlunsplit((parts.scheme, parts.netloc, bare, "", ""))
    if bare == "" or _BASE_ONLY.search(bare):
        whole = bare or "/v1"
        whole = urlunsplit(
            (parts.scheme, parts.netloc, f"{whole}/chat/completions", parts.query, "")
        )
        raise ConfigError(
            path,
            f"{printable(shown, 200)} is a base; the whole chat-completions URL is used as it is written",
            f"write {printable(whole, 300)}",
        )
    if bare.endswith(_OTHER_CALLS) and not bare.endswith("/chat/completions"):
        raise ConfigError(
            path,
            f"{printable(shown, 200)} is another call than chat completions",
            "write the URL that ends in /v1/chat/completions",
        )


def _split(address: str, path: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
        usable = usable and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or not address.isprintable() or " " in address:
        raise ConfigError(
            path,
            f"{_shown(address)}is not an http(s) URL",
            f"write the whole chat-completions URL, such as {_EXAMPLE}",
        )
    return parts


def _shown(address: str) -> str:
    """The address as it was written, and a space; empty where it may hold a key."""
    return f"{printable(address, 200)} " if _PLAIN.fullmatch(address) else ""
