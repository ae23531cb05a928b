"""From what pydantic found wrong to one readable error of ours: every refused field, why, and the cure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

from assay.domain.errors import ConfigError

_REFERENCE = "docs/config.md describes every key"


def refused(why: str, cure: str, *, at: str = "") -> PydanticCustomError:
    """What a validator raises: `at` names the key below the one being validated that is meant."""
    return PydanticCustomError("refused", "{why}", {"why": why, "cure": cure, "at": at})


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word a misspelt one most likely stands for, case aside; None: nothing is near."""
    by_lower = {name.lower(): name for name in sorted(known)}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=cutoff)
    return by_lower[found[0]] if found else None


def printable(value: object, limit: int = 60) -> str:
    """A value as it may stand in a message: short, one line, no control characters."""
    text = value if isinstance(value, str) else repr(value)
    clean = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[: limit + 1])
    return clean if len(text) <= limit else clean[:limit] + "..."


def path_of(loc: Sequence[int | str]) -> str:
    """`("eval_config", "model", 0, "type")` as `eval_config.model[0].type`."""
    path = ""
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part != "[key]":
            path += ("." if path else "") + printable(part)
    return path or "the file"


def config_error(error: ValidationError, cls: type[BaseModel]) -> ConfigError:
    """All that pydantic found in one pass over `cls` as one error, in the order of the file's keys."""
    problems = [_problem(details, cls) for details in error.errors(include_url=False)]
    return joined(problems)


def joined(problems: Sequence[ConfigError]) -> ConfigError:
    """Several refused fields as one error."""
    first = problems[0]
    return ConfigError(
        first.path, first.why, first.cure or "", more=tuple(problems[1:])
    )


@contextmanager
def kept(problems: list[ConfigError]) -> Iterator[None]:
    """Keeps what is refused, so that a user sees everything at once."""
    try:
        yield
    except ConfigError as error:
        problems.extend(error.problems)


def _problem(details: ErrorDetails, cls: type[BaseModel]) -> ConfigError:
    loc = list(details["loc"])
    kind, context = details["type"], details.get("ctx", {})
    if kind == "refused":
        loc += [context["at"]] if context["at"] else []
        return ConfigError(path_of(loc), context["why"], context["cure"])
    if kind == "extra_forbidden":
        return _unknown_key(loc, cls)
    if kind == "missing":
        return ConfigError(path_of(loc), "is missing", f"add it; {_REFERENCE}")
    if kind in {"model_type", "dict_type", "model_attributes_type"}:
        given = details["input"]
        got = "nothing" if given is None else type(given).__name__
        return ConfigError(
            path_of(loc), f"must hold keys and values, not {got}", _REFERENCE
        )
    return ConfigError(path_of(loc), details["msg"], _REFERENCE)


def _unknown_key(loc: Sequence[int | str], cls: type[BaseModel]) -> ConfigError:
    known = _known_keys(loc[:-1], cls)
    guess = nearest(str(loc[-1]), known)
    cure = (
        f"did you mean `{guess}`?"
        if guess
        else f"remove it; known here: {', '.join(sorted(known))}"
    )
    return ConfigError(path_of(loc), "is not a known key", cure)


def _known_keys(loc: Sequence[int | str], cls: type[BaseModel]) -> set[str]:
    """The keys of the model that stands at `loc` below `cls`."""
    current: type[BaseModel] = cls
    for part in loc:
        # Places in a list and names of a map say nothing about the model below them.
        field = _fields(current).get(str(part))
        within = None if field is None else _model_within(field.annotation)
        current = within or current
    return set(_fields(current))


def _fields(cls: type[BaseModel]) -> dict[str, FieldInfo]:
    """Its fields by the keys that stand in a file."""
    return {field.alias or name: field for name, field in cls.model_fields.items()}


def _model_within(annotation: Any) -> type[BaseModel] | None:
    """The pydantic model inside `list[M]`, `dict[str, M]`, `M | None`, or `M` itself."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (
        _model_within(argument) for argument in getattr(annotation, "__args__", ())
    )
    return next((model for model in inner if model is not None), None)
