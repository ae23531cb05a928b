"""From a file, or a nested dict, to an `EvalFile`: what the command line and the Python API call first.

YAML is read by the safe loader, and stricter: a key that stands twice is refused, and so is a document
that references make explode or loop.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from assay.config.file import EvalFile
from assay.config.naming import located
from assay.config.problems import config_error, printable
from assay.domain.errors import ConfigError

LARGEST_FILE = 1_000_000
"""Bytes of a config file; a real one has a few thousand."""
_MOST_VALUES = 100_000
_DEEPEST = 100
_ENDINGS = {".yaml", ".yml", ".json"}


def load_file(path: Path) -> EvalFile:
    """Reads a file and checks it.

    Raises:
        ConfigError: it cannot be read, is broken, or holds something that is refused.
    """
    return parse(mapping_of(path))


def parse(mapping: Mapping[str, object]) -> EvalFile:
    """Checks the types and keys of a nested dict, as the file would be written.

    `eval_config` may name a YAML or JSON file, or hold JSON text, as EvalScope allows.

    Raises:
        ConfigError: everything that is wrong with it, in one error.
    """
    document = inlined(mapping)
    try:
        return EvalFile.model_validate(document)
    except ValidationError as error:
        raise config_error(error, EvalFile) from None
    except RecursionError:
        raise _too_deep("the file") from None


def inlined(mapping: Mapping[str, object]) -> dict[str, Any]:
    """A nested dict as the file would be written, with what `eval_config` names in its place.

    Raises:
        ConfigError: it has no `eval_config`, or what that names cannot be read.
    """
    if not isinstance(mapping, Mapping):
        raise ConfigError(
            "the file",
            f"must hold keys and values, not {_kind(mapping)}",
            "start with eval_config: as in the example of docs/config.md",
        )
    document = dict(mapping)
    inner = document.get("eval_config")
    if isinstance(inner, str):
        document["eval_config"] = _named(inner)
    elif isinstance(inner, Mapping):
        document["eval_config"] = dict(inner)
    elif inner is not None or "eval_config" not in document:
        raise _no_eval_config(document, inner)
    return document


def _no_eval_config(document: Mapping[str, object], inner: object) -> ConfigError:
    if inner is not None:
        return ConfigError(
            "eval_config",
            f"must hold keys and values, not {_kind(inner)}",
            "write model: and data: below it",
        )
    flat = {"model", "data"} & set(document)
    cure = "move model, data and the like below it" if flat else "add it"
    return ConfigError(
        "eval_config", "is missing", f"{cure}; docs/config.md has an example"
    )


def _named(text: str) -> object:
    """What `eval_config` names: a file, or JSON text."""
    if Path(text[:4096]).suffix in _ENDINGS and "\n" not in text:
        return mapping_of(located(text, Path()))
    try:
        return json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            "eval_config",
            f"is text that is neither a .yaml or .json path nor JSON ({printable(str(error))})",
            "write the keys below it, or the path of a file that holds them",
        ) from None


def mapping_of(path: Path) -> dict[str, object]:
    """What a file holds, its keys and values unchecked: JSON where its name ends in .json, YAML otherwise.

    Raises:
        ConfigError: it cannot be read, is broken, or holds no map.
    """
    name = printable(str(path), 200)
    text = _text(path, name)
    read = _from_json if path.suffix == ".json" else _from_yaml
    value: Any = read(text, name)
    if not isinstance(value, dict):
        raise ConfigError(
            name,
            f"must hold keys and values, not {_kind(value)}",
            "start with eval_config: as in the example of docs/config.md",
        )
    return value


def _text(path: Path, name: str) -> str:
    try:
        with path.open("rb") as stream:
            data = stream.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(
            name, f"cannot be read: {why}", "check the path and its permissions"
        ) from error
    if len(data) > LARGEST_FILE:
        raise ConfigError(
            name, f"is larger than {LARGEST_FILE} bytes", "name the config, not data"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            name, f"is not UTF-8 text (byte {error.start})", "save it as UTF-8"
        ) from error


def _from_json(text: str, name: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{name}, line {error.lineno}, column {error.colno}",
            f"is not JSON: {error.msg}",
            "mend it, or name the file .yaml if it is YAML",
        ) from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(name, printable(str(error), 200), "mend the file") from None


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            msg = f'the key "{printable(key)}" stands twice'
            raise ValueError(msg)
        found[key] = value
    return found


def _from_yaml(text: str, name: str) -> object:
    try:
        loader = _StrictLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _bounded(node, name)
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(
            f"{name}{where}",
            f"is not YAML: {printable(str(error.problem or error.context), 200)}",
            "mend the line; indent with spaces",
        ) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise ConfigError(
            name, f"is not YAML: {printable(str(error), 200)}", "mend the file"
        ) from None
    except RecursionError:
        raise _too_deep(name) from None


class _StrictLoader(yaml.SafeLoader):
    """The safe loader, which refuses a key that stands twice in one map."""

    def construct_mapping(
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002 - yaml's signature
    ) -> dict[Hashable, Any]:
        """A map whose own keys stand once each; merged (`<<`) ones may be overridden."""
        own: set[str] = set()
        for key, _ in node.value:
            word = key.value if isinstance(key, yaml.ScalarNode) else None
            if word is not None and word != "<<" and word in own:
                raise yaml.constructor.ConstructorError(
                    None, None, f'the key "{word}" stands twice', key.start_mark
                )
            own.add(word or "")
        return super().construct_mapping(node, deep=deep)


def _bounded(root: yaml.Node, name: str) -> None:
    """Refuses what references would make endless or huge, before anything is built.

    Raises:
        ConfigError: it loops, is nested too deep, or would hold too many values.
    """
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: yaml.Node, depth: int) -> int:
        if isinstance(node, yaml.ScalarNode):
            return 1
        if id(node) in sizes:
            return sizes[id(node)]
        if id(node) in open_nodes or depth > _DEEPEST:
            raise _too_deep(name)
        open_nodes.add(id(node))
        children = (
            [part for pair in node.value for part in pair]
            if isinstance(node, yaml.MappingNode)
            else node.value
        )
        total = 1 + sum(size(child, depth + 1) for child in children)
        if total > _MOST_VALUES:
            raise ConfigError(
                name, f"holds more than {_MOST_VALUES} values", "write it shorter"
            )
        open_nodes.discard(id(node))
        sizes[id(node)] = total
        return total

    size(root, 0)


def _too_deep(name: str) -> ConfigError:
    return ConfigError(
        name,
        f"is nested deeper than {_DEEPEST} levels, or refers to itself",
        "write it flat",
    )


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    return "a list" if isinstance(value, list) else type(value).__name__
