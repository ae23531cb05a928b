"""Real VLMEvalKit's evaluate() on one prediction table, with its own judge client.

Runs inside the peer environment, in a folder with `job.json`, `lmu/` and `predictions.jsonl`. It imports
nothing of Assay. What is put in upstream's way is that of `run_vlmevalkit`, and the name that
LLaVABench's module imports and that is not there.
"""

# ruff: noqa: PLC0415 - vlmeval can be imported only once the hollow packages are in place

import json
import os
import sys
from pathlib import Path

import judged_verdicts
import row_verdicts
import run_vlmevalkit

JOB = json.loads(Path("job.json").read_text())
JUDGE = JOB["judge"]["model"]
FAILED = "Failed to obtain answer via API."


def write(dataset, path):
    """The predictions as upstream's inference writes them."""
    from vlmeval.smp import dump

    told = Path("predictions.jsonl").read_text().splitlines()
    lines = [json.loads(line) for line in told]
    texts = [FAILED if line["text"] is None else line["text"] for line in lines]
    if dataset.TYPE == "MT":
        texts = [json.loads(text) for text in texts]
    data = dataset.data
    data["prediction"] = texts
    if "image" in data:
        data.pop("image")
    dump(data, str(path))


def main():
    if JOB["sympy"]:
        run_vlmevalkit.HOLLOW = tuple(
            name for name in run_vlmevalkit.HOLLOW if name != "sympy"
        )
    sys.meta_path.insert(0, run_vlmevalkit.HollowFinder())
    from vlmeval.dataset import build_dataset

    run_vlmevalkit.skip_sleep()
    run_vlmevalkit.forget_md5()
    run_vlmevalkit.own_temporary_files()
    run_vlmevalkit.small_pool()
    judged_verdicts.mend_llavabench()
    dataset = build_dataset(JOB["dataset"])
    Path("out").mkdir()
    path = Path("out").resolve() / f"m_{JOB['dataset']}.xlsx"
    write(dataset, path)
    scores = dataset.evaluate(str(path), **JOB["judge"])
    told = {
        "scores": scores.to_dict("records") if hasattr(scores, "columns") else scores,
        "verdicts": judged_verdicts.verdicts(dataset, path, JUDGE),
        "rotations": row_verdicts.rotations(dataset),
    }
    Path("told.json").write_text(json.dumps(told, default=float))
    # Threads of a judge client that are still there have nothing left to do.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
