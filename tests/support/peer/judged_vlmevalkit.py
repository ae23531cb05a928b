"""Real VLMEvalKit from the first request to the last figure, on datasets that a judge decides.

Runs inside the peer environment with the path of a JSON job, as `run_vlmevalkit`, whose stand-ins it
uses; the judge is found as upstream's run.py finds it, from the environment. It imports nothing of Assay.
"""

# ruff: noqa: PLC0415 - vlmeval can be imported only once the hollow packages are in place

import json
import os
import random
import sys
from pathlib import Path
from types import SimpleNamespace

import judged_verdicts
import row_verdicts
import run_vlmevalkit


def judge_of(dataset, job):
    """run.py's choice under `judge: null`."""
    from vlmeval.run import get_judge_kwargs

    asked = SimpleNamespace(
        judge=None,
        judge_base_url=None,
        judge_key=None,
        judge_args=None,
        judge_api_nproc=job["nproc"],
        judge_retry=job["retry"],
        judge_timeout=60,
        verbose=False,
        use_verifier=False,
        use_vllm=False,
    )
    return get_judge_kwargs(dataset.dataset_name, dataset.TYPE, asked)


def infer(dataset, model, model_name, job, folder):
    """run.py's choice by the dataset's TYPE."""
    from vlmeval.inference import infer_data_job
    from vlmeval.inference_mt import infer_data_job_mt

    job_of = infer_data_job_mt if dataset.TYPE == "MT" else infer_data_job
    job_of(
        model,
        work_dir=str(folder),
        model_name=model_name,
        dataset=dataset,
        verbose=False,
        api_nproc=job["nproc"],
    )


def run_dataset(name, model, model_name, job, folder):
    from vlmeval.dataset import build_dataset

    dataset = build_dataset(name)
    infer(dataset, model, model_name, job, folder)
    data = dataset.data
    indices = [str(index) for index in data["index"]]
    predictions = list(zip(indices, data["prediction"], strict=True))
    table = folder / f"{model_name}_{name}.xlsx"
    judge = judge_of(dataset, job)
    scores = dataset.evaluate(str(table), **judge)
    told = {
        "predictions": predictions,
        "judge": judge["model"],
        "scores": scores.to_dict("records") if hasattr(scores, "columns") else scores,
        "verdicts": judged_verdicts.verdicts(dataset, table, judge["model"]),
        "rotations": row_verdicts.rotations(dataset),
    }
    path = folder.parent / f"{model_name}.{name}.json"
    path.write_text(json.dumps(told, default=float))


def main():
    job = json.loads(Path(sys.argv[1]).read_text())
    run_vlmevalkit.HOLLOW = tuple(
        name for name in run_vlmevalkit.HOLLOW if name != "sympy"
    )
    sys.meta_path.insert(0, run_vlmevalkit.HollowFinder())
    from vlmeval.api import CustomAPIModel

    run_vlmevalkit.skip_sleep()
    run_vlmevalkit.forget_md5()
    run_vlmevalkit.own_temporary_files()
    run_vlmevalkit.small_pool()
    judged_verdicts.mend_llavabench()
    (parameters,) = job["models"]
    name = run_vlmevalkit.folder_name(parameters["type"])
    folder = Path(job["folder"]) / name
    folder.mkdir(parents=True)
    for dataset in job["datasets"]:
        random.seed(42)
        merged = run_vlmevalkit.model_parameters(parameters, job["retry"])
        run_dataset(dataset, CustomAPIModel(**merged), name, job, folder)
    facts = {"model_name": name, "datasets": {each: {} for each in job["datasets"]}}
    (Path(job["folder"]) / "facts.json").write_text(json.dumps(facts))
    sys.stdout.flush()
    # Threads of a judge client that are still there have nothing left to do.
    os._exit(0)


# The guard matters: MathVision's comparisons fork.
if __name__ == "__main__":
    main()
