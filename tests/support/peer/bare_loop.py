"""The bare loop of a model class over pictures, timed: what a worker is measured against.

`bare_loop.py NAME WEIGHTS PARAMETERS FOLDER`, in the environment of local models; imports nothing of Assay.
"""

import importlib.util
import json
import sys
import time
from pathlib import Path

import run_local_vlmevalkit as local
import run_vlmevalkit as usual


def main():
    name, weights, parameters, folder = sys.argv[1:]
    usual.HOLLOW = tuple(
        each
        for each in usual.HOLLOW
        if "." not in each and importlib.util.find_spec(each) is None
    )
    sys.meta_path.insert(0, usual.HollowFinder())
    from vlmeval.config import supported_VLM  # noqa: PLC0415 - behind the hollow packages
    from vlmeval.vlm.qwen2_vl import model as qwen  # noqa: PLC0415

    local.on_the_processor()
    qwen.get_gpu_memory = lambda: [80_000]
    model = supported_VLM[name](model_path=weights, **json.loads(parameters))
    question = {"type": "text", "value": "Which digit is written in the picture?"}
    paths = sorted(map(str, Path(folder).glob("*.png")))
    best = float("inf")
    for _ in range(2):
        started = time.monotonic()
        for path in paths:
            message = [{"type": "image", "value": path}, dict(question)]
            model.generate(message=message, dataset="A")
        best = min(best, time.monotonic() - started)
    print(json.dumps({"seconds": best}))  # noqa: T201 - what it is for


if __name__ == "__main__":
    main()
