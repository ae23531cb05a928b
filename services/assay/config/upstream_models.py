"""What VLMEvalKit's own source says of its model classes: names, arguments, whose code they trust.

Read, not imported: importing it means torch. `local_model.py` admits local models by it, `assay models`
lists it, and a worker asks it which transformers a class needs.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from assay.config.model_families import GENERATION, TRANSFORMERS, Range

_WEIGHTS = ("model_path", "model_pth", "pretrained", "ckpt", "model_name_or_path")


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamClass:
    """One model class.

    Attributes:
        arguments: what its constructor takes by name, and what it looks for among the rest.
        takes_rest: it takes other arguments as well, and hands them to generation.
        weights: the argument that names its weights; empty: it has none.
        remote_code: it lets code that comes with the weights run.
    """

    name: str
    arguments: frozenset[str]
    takes_rest: bool
    weights: str
    remote_code: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamModel:
    """One name of `supported_VLM`.

    Attributes:
        cls: its class.
        local: it runs in the process; else it is a client of somebody's service.
        defaults: the arguments that upstream gives it, those that are plain values.
    """

    name: str
    cls: str
    local: bool
    defaults: Mapping[str, object] = field(default_factory=dict)


def upstream_root() -> Path | None:
    """Where VLMEvalKit's source stands in this environment; None: it is not installed."""
    spec = importlib.util.find_spec("vlmeval")
    return Path(spec.origin).parent if spec is not None and spec.origin else None


@cache
def registry(root: Path) -> Mapping[str, UpstreamModel]:
    """Every name of `supported_VLM`, in upstream's order."""
    tree = ast.parse((root / "config.py").read_text())
    found: dict[str, UpstreamModel] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            for key, value in zip(node.value.keys, node.value.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(value, ast.Call):
                    model = _model(str(key.value), value)
                    if model is not None:
                        found[model.name] = model
    return found


def _model(name: str, call: ast.Call) -> UpstreamModel | None:
    if not (isinstance(call.func, ast.Name) and call.func.id == "partial"):
        return None
    cls = call.args[0]
    local = (
        isinstance(cls, ast.Attribute)
        and isinstance(cls.value, ast.Name)
        and cls.value.id == "vlm"
    )
    defaults = {}
    for keyword in call.keywords:
        if keyword.arg and isinstance(keyword.value, ast.Constant):
            defaults[keyword.arg] = keyword.value.value
    named = cls.attr if isinstance(cls, ast.Attribute) else ast.unparse(cls)
    return UpstreamModel(name=name, cls=named, local=local, defaults=defaults)


@cache
def class_of(root: Path, name: str) -> UpstreamClass | None:
    """What the source says of a class; None: there is no such class."""
    found = _classes(root).get(name)
    if found is None:
        return None
    arguments: dict[str, None] = {}
    takes_rest = False
    for constructor in _constructors(root, name):
        taken = (*constructor.args.args[1:], *constructor.args.kwonlyargs)
        arguments |= dict.fromkeys(each.arg for each in taken)
        arguments |= dict.fromkeys(_looked_for(constructor))
        takes_rest = takes_rest or _hands_on(constructor)
        if constructor.args.kwarg is None:
            break
    first = next(iter(arguments), "")
    weights = next((each for each in _WEIGHTS if each in arguments), first)
    named = {
        key
        for model in registry(root).values()
        if model.cls == name
        for key in model.defaults
    }
    return UpstreamClass(
        name=name,
        arguments=frozenset({*arguments, *named}),
        takes_rest=takes_rest,
        weights=weights,
        remote_code="trust_remote_code=True" in found.read_text(),
    )


def takes(cls: UpstreamClass, argument: str) -> bool:
    """Whether a constructor takes an argument: by name, or because it hands it to generation."""
    return argument in cls.arguments or (cls.takes_rest and argument in GENERATION)


def transformers_range(name: str, root: Path | None = None) -> Range | None:
    """The versions of transformers that a name's class is known to need; None: any of the newer ones."""
    root = root or upstream_root()
    if root is None:
        return None
    model = registry(root).get(name)
    return None if model is None else TRANSFORMERS.get(model.cls)


def lets_code_run(name: str) -> bool:
    """Whether a name's class lets code run that comes with its weights; of an unknown one: it may."""
    root = upstream_root()
    model = None if root is None else registry(root).get(name)
    cls = None if root is None or model is None else class_of(root, model.cls)
    return cls is None or cls.remote_code


@cache
def _classes(root: Path) -> Mapping[str, Path]:
    """The file of every class below `vlm/`."""
    found: dict[str, Path] = {}
    for path in sorted((root / "vlm").rglob("*.py")):
        text = path.read_text(errors="replace")
        for line in text.splitlines():
            if line.startswith("class "):
                name = line[6:].split("(")[0].split(":")[0].strip()
                found.setdefault(name, path)
    return found


@cache
def _parsed(path: Path) -> Mapping[str, ast.ClassDef]:
    tree = ast.parse(path.read_text(errors="replace"))
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def _chain(root: Path, name: str) -> Iterator[ast.ClassDef]:
    """A class and those of upstream's that it is made of, depth first."""
    path = _classes(root).get(name)
    definition = _parsed(path).get(name) if path is not None else None
    if definition is None:
        return
    yield definition
    for base in definition.bases:
        if isinstance(base, ast.Name) and base.id != name:
            yield from _chain(root, base.id)


def _constructors(root: Path, name: str) -> Iterator[ast.FunctionDef]:
    """Those of a class and of what it is made of, in the order in which they hand arguments on."""
    for definition in _chain(root, name):
        for node in definition.body:
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                yield node


def _hands_on(constructor: ast.FunctionDef) -> bool:
    """Whether a constructor keeps its `**kwargs` as a whole, for generation, which all that do so do."""
    rest = constructor.args.kwarg.arg if constructor.args.kwarg else ""
    for node in ast.walk(constructor):
        if isinstance(node, ast.Assign) and _is(node.value, rest):
            return True
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "update"
            and any(_is(each, rest) for each in node.args)
        ):
            return True
    return False


def _looked_for(constructor: ast.FunctionDef) -> Iterator[str]:
    """Keys that a constructor asks its `**kwargs` for."""
    rest = constructor.args.kwarg.arg if constructor.args.kwarg else ""
    for node in ast.walk(constructor):
        key: ast.expr | None = None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if _is(node.func.value, rest) and node.args:
                key = node.args[0]
        elif isinstance(node, ast.Subscript) and _is(node.value, rest):
            key = node.slice
        elif isinstance(node, ast.Compare) and any(
            _is(each, rest) for each in node.comparators
        ):
            key = node.left
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            yield key.value


def _is(node: ast.expr, name: str) -> bool:
    return bool(name) and isinstance(node, ast.Name) and node.id == name
