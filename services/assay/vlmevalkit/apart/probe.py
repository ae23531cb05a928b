"""Says, in JSON, what an interpreter has of what local models need; imports none of it.

The worker's `model_check` runs it with the interpreter in question.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys

_NAMES = ("torch", "transformers", "ms-vlmeval", "accelerate", "vllm", "flash_attn")


def main() -> None:
    """Prints the versions."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in _NAMES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
