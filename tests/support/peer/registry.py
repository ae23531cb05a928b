"""Prints, as JSON, every name of VLMEvalKit's real `supported_VLM` with its class.

Imports nothing of Assay.
"""

import importlib.util
import json
import sys

import run_vlmevalkit as usual


def main():
    usual.HOLLOW = tuple(
        name
        for name in usual.HOLLOW
        if "." not in name and importlib.util.find_spec(name) is None
    )
    sys.meta_path.insert(0, usual.HollowFinder())
    from vlmeval.config import supported_VLM  # noqa: PLC0415 - behind the hollow packages

    found = {name: made.func.__name__ for name, made in supported_VLM.items()}
    print(json.dumps(found))  # noqa: T201 - what it is for


if __name__ == "__main__":
    main()
