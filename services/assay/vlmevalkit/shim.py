"""Lets VLMEvalKit be imported without torch and friends, and without the traps in its environment.

Sealed children (prepare, scoring) call `install()` before anything else imports `vlmeval`. Its picture
benchmarks import torch, transformers, scipy and more at module level and never compute with them on the
paths used here; hollow modules in their place make the import a matter of a second instead of fifteen,
and leave every score as it is.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Collection, Iterator, MutableSequence
from types import ModuleType
from typing import Any

HOLLOW = frozenset(
    {
        "cv2",
        "datasets",
        "decord",
        "imageio",
        "jieba",
        "joblib",
        "latex2sympy2_extended",
        "Levenshtein",
        "math_verify",
        "matplotlib",
        "networkx",
        "nltk",
        "openai",
        "pylatexenc",
        "rouge",
        "scipy",
        "seaborn",
        "sklearn",
        "sympy",
        "torch",
        "torchvision",
        "transformers",
        "vlmeval.vlm",
    }
)
"""Modules that are hollow even where the real ones are installed: the same code path everywhere."""

TRAPS = (
    "EVAL_FORMAT",
    "EVAL_PROXY",
    "FORCE_LOCAL",
    "FWD_API",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "LOCAL_LLM",
    "LOCAL_RANK",
    "LOCAL_WORLD_SIZE",
    "MMEVAL_ROOT",
    "OPENAI_API_BASE",
    "OPENAI_API_KEY",
    "PRED_FORMAT",
    "PRINT_VANILLA",
    "RANK",
    "SKIP_ERR",
    "SPLIT_THINK",
    "VERBOSE",
    "VLMEVAL_MAX_IMAGE_SIZE",
    "VLMEVAL_MIN_IMAGE_EDGE",
    "WORLD_SIZE",
    "all_proxy",
    "http_proxy",
    "https_proxy",
)
"""Variables that change a prompt, a picture, a file format or a score behind the user's back."""


class HollowModule(ModuleType):
    """A module whose every attribute is hollow: callable, iterable (empty), usable as a base class."""

    __path__: MutableSequence[str] = []  # noqa: RUF012 - what an import of a submodule looks at

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        full = f"{self.__name__}.{name}"
        return sys.modules.get(full) or HollowModule(full)

    def __call__(self, *args: Any, **_kwargs: Any) -> Any:
        """Gives back what it decorates where it is used as a decorator; else something hollow."""
        if len(args) == 1 and callable(args[0]) and not isinstance(args[0], ModuleType):
            return args[0]
        return HollowModule(f"{self.__name__}()")

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        # A fresh class each time: two hollow bases of one class must not be the same object.
        return (type("Hollow", (), {}),)

    def __or__(self, other: Any) -> Any:
        return self

    __ror__ = __or__

    def __getitem__(self, _key: Any) -> Any:
        return self


class _HollowFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, hollow: Collection[str]) -> None:
        self._hollow = hollow

    def find_spec(
        self, fullname: str, _path: Any = None, _target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        parts = fullname.split(".")
        prefixes = (".".join(parts[:n]) for n in range(1, len(parts) + 1))
        if any(prefix in self._hollow for prefix in prefixes):
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return HollowModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run: a hollow module is complete as created."""


def install(*, real: Collection[str] = ()) -> None:
    """Puts the hollow modules in place and takes the traps out of the environment; once per process.

    Args:
        real: modules that are computed with after all.

    Raises:
        RuntimeError: `vlmeval` is imported already, with whatever it found.
    """
    if any(isinstance(finder, _HollowFinder) for finder in sys.meta_path):
        return
    if "vlmeval" in sys.modules:
        raise RuntimeError("vlmeval was imported before the shim was installed")
    for name in TRAPS:
        os.environ.pop(name, None)
    # `vlmeval` reads `<site-packages>/.env` over the environment; this name makes that a no-op.
    os.environ["PYTHON_DOTENV_DISABLED"] = "1"
    sys.meta_path.insert(0, _HollowFinder(HOLLOW - set(real)))
    _mend_numpy()


def _mend_numpy() -> None:
    """Gives numpy 2 back two names that upstream's JSON encoder looks up on every call."""
    import numpy as np  # noqa: PLC0415 - costs 0.1 s, and callers may import this module for its names

    for name, value in (("float_", np.float64), ("complex_", np.complex128)):
        if not hasattr(np, name):
            setattr(np, name, value)
