"""How a model class is loaded: where its weights come from, whose code may run, and on what.

For `model_process.py`, which loads it by path.
"""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any


class RemoteCodeError(Exception):
    """Weights bring code of their own, and nobody allowed it."""


def weights_of(job: Mapping[str, Any]) -> tuple[str, str]:
    """The folder with the weights, and the hub's name for that state of them; fetched where need be."""
    weights: str = job["weights"]
    if Path(weights).is_dir():
        return weights, ""
    hub: Any = importlib.import_module("huggingface_hub")
    folder = hub.snapshot_download(
        weights, revision=job["revision"] or None, endpoint=job["hub"] or None
    )
    return folder, Path(folder).name


def forbid_remote_code(*, allowed: bool) -> None:
    """Upstream's classes pass `trust_remote_code=True` as a matter of course; here it has to be allowed."""
    if allowed:
        return
    dynamic = importlib.import_module("transformers.dynamic_module_utils")

    def refuse(*args: Any, **_kwargs: Any) -> None:
        where = args[0] if args else "the weights"
        raise RemoteCodeError(f"{where} brings code of its own, which is not trusted")

    # Whatever brings code goes through the first; later versions ask the second by name.
    dynamic.get_cached_module_file  # noqa: B018 - another transformers may have another door
    for name in ("get_cached_module_file", "get_class_from_dynamic_module"):
        setattr(dynamic, name, refuse)


def without_cards(torch: Any) -> None:
    """Runs classes that ask for a card on the processor: `cuda` means `cpu` where there is none."""

    def there(value: Any) -> Any:
        if isinstance(value, torch.device):
            return torch.device("cpu") if value.type == "cuda" else value
        named = isinstance(value, str) and value.split(":")[0] == "cuda"
        return "cpu" if named else value

    def moved(original: Callable[..., Any]) -> Callable[..., Any]:
        def to(self: Any, *args: Any, **kwargs: Any) -> Any:
            args = tuple(map(there, args))
            kwargs = {name: there(value) for name, value in kwargs.items()}
            return original(self, *args, **kwargs)

        return to

    for cls in (torch.Tensor, torch.nn.Module):
        cls.to = moved(cls.to)
        cls.cuda = lambda self, *_args, **_kwargs: self
    transformers: Any = importlib.import_module("transformers")
    for cls in (transformers.BatchFeature, transformers.BatchEncoding):
        cls.to = moved(cls.to)
    base = transformers.PreTrainedModel
    original = base.from_pretrained.__func__

    def from_pretrained(cls: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs["device_map"] = "cpu"
        if kwargs.get("attn_implementation") == "flash_attention_2":
            kwargs["attn_implementation"] = "sdpa"
        return original(cls, *args, **kwargs)

    base.from_pretrained = classmethod(from_pretrained)


def pretend_memory() -> None:
    """Some classes assert that `nvidia-smi` shows a card, and use no more of what it says."""
    for name, module in list(sys.modules.items()):
        if name.startswith("vlmeval") and hasattr(module, "get_gpu_memory"):
            vars(module)["get_gpu_memory"] = lambda: [1]


def kept_between_samples(cls: type) -> list[str]:
    """Attributes that tell the next sample of this one: what one dataset leaves to the next.

    A class's methods may write what they always write; what depends on a sample, or is written only for
    some, changes what comes after it.
    """
    found: set[str] = set()
    for base in cls.__mro__:
        if not base.__module__.startswith("vlmeval") or base.__name__ == "BaseModel":
            continue
        try:
            (tree,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        except (OSError, SyntaxError, ValueError):
            return ["?"]
        for method in ast.iter_child_nodes(tree):
            if isinstance(method, ast.FunctionDef) and method.name not in _SETTERS:
                found |= set(_written(method.body, _names_of(method), depends=False))
    return sorted(found)


_SETTERS = frozenset({"__init__", "set_dump_image"})


def _names_of(method: ast.FunctionDef) -> frozenset[str]:
    """A method's own names: its parameters, and whatever it assigns."""
    given = method.args
    every = [*given.args[1:], *given.kwonlyargs, given.vararg, given.kwarg]
    own = {each.arg for each in every if each is not None}
    for node in ast.walk(method):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            own.add(node.id)
    return frozenset(own)


def _written(
    nodes: list[ast.stmt], own: frozenset[str], *, depends: bool
) -> Iterator[str]:
    for node in nodes:
        test = getattr(node, "test", None) or getattr(node, "iter", None)
        below = depends or (test is not None and _uses(test, own))
        if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            grows = isinstance(node, ast.AugAssign)
            if below or grows or (node.value is not None and _uses(node.value, own)):
                yield from filter(None, map(_attribute, targets))
        for name in ("body", "orelse", "finalbody"):
            yield from _written(getattr(node, name, []), own, depends=below)
        for handler in getattr(node, "handlers", []):
            yield from _written(handler.body, own, depends=True)


def _uses(node: ast.AST, own: frozenset[str]) -> bool:
    return any(isinstance(each, ast.Name) and each.id in own for each in ast.walk(node))


def _attribute(target: ast.expr) -> str | None:
    """`self.x`, `self.x[...]` and `self.x.y` are about `x`."""
    while isinstance(target, (ast.Subscript, ast.Attribute)):
        holder = target.value
        if isinstance(target, ast.Attribute) and isinstance(holder, ast.Name):
            return target.attr if holder.id == "self" else None
        target = holder
    return None


def versions() -> dict[str, str]:
    """What can change an answer, of the packages here."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in ("torch", "transformers", "ms-vlmeval"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
