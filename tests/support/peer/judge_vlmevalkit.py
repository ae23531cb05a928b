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

import row_verdicts
import run_vlmevalkit

JOB = json.loads(Path("job.json").read_text())
JUDGE = JOB["judge"]["model"]
FAILED = "Failed to obtain answer via API."


def mend_llavabench():
    import vlmeval.smp.log

    sys.modules["vlmeval.dataset.smp"] = vlmeval.smp
    sys.modules["vlmeval.dataset.smp.log"] = vlmeval.smp.log


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


def verdicts(dataset, path):
    """Each row's score, or each question's in rotations, from upstream's result files."""
    if hasattr(dataset, "dataset_map"):
        return members(dataset, path)
    stem = str(path).removesuffix(".xlsx")
    return READERS.get(type(dataset).__name__, choices)(dataset, stem)


def members(dataset, path):
    found = {}
    for name, member in dataset.dataset_map.items():
        own = Path(str(path).replace(dataset.dataset_name, name))
        numbers = row_verdicts._numbers(dataset, name)
        for key, score in verdicts(member, own).items():
            found[numbers[key]] = score
    return found


def choices(_dataset, stem):
    if Path(f"{stem}_auxmatch.xlsx").exists():
        return row_verdicts._column(f"{stem}_auxmatch.xlsx", "score")
    return row_verdicts._column(f"{stem}_{JUDGE}_result.xlsx", "hit")


def checked(module):
    def read(_dataset, stem):
        from importlib import import_module

        from vlmeval.smp import load

        check = import_module(f"vlmeval.dataset.utils.{module}").post_check
        data = load(f"{stem}_{JUDGE}.xlsx")
        rows = [data.iloc[row] for row in range(len(data))]
        return {str(row["index"]): float(check(row, prefetch=False)) for row in rows}

    return read


def conversations(_dataset, stem):
    from vlmeval.smp import load

    found = {}
    for index, answer in load(f"{stem}_{JUDGE}.pkl").items():
        scores = answer["res"].astype(float)
        found[str(index)] = float(scores["Overall Score"].clip(0, 10).mean() / 10)
    return found


READERS = {
    "MathVista": checked("mathvista"),
    "MathVision": checked("mathv"),
    "MMVet": lambda _d, stem: row_verdicts._column(f"{stem}_{JUDGE}.xlsx", "score"),
    "LLaVABench": lambda _d, stem: {
        key: score / 10
        for key, score in row_verdicts._column(
            f"{stem}_openai_result.xlsx", "score"
        ).items()
    },
    "MMDUDataset": conversations,
}


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
    mend_llavabench()
    dataset = build_dataset(JOB["dataset"])
    Path("out").mkdir()
    path = Path("out").resolve() / f"m_{JOB['dataset']}.xlsx"
    write(dataset, path)
    scores = dataset.evaluate(str(path), **JOB["judge"])
    told = {
        "scores": scores.to_dict("records") if hasattr(scores, "columns") else scores,
        "verdicts": verdicts(dataset, path),
        "rotations": row_verdicts.rotations(dataset),
    }
    Path("told.json").write_text(json.dumps(told, default=float))
    # Threads of a judge client that are still there have nothing left to do.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
