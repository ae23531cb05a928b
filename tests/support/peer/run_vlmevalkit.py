"""Real VLMEvalKit on one job: its dataset classes, prompts, client, inference and evaluate().

Runs inside the peer environment; `peer_environment.run_peer` starts it with the path of a JSON job.
It imports nothing of Assay. What is put in upstream's way is listed here, and none of it computes:
torch and other heavy packages are hollow, md5 sums of replaced TSVs are not checked, temporary files and
pools of processes are this process's own, and random pauses before a request are left out when the job
says so.
"""

# ruff: noqa: PLC0415 - vlmeval can be imported only once the hollow packages are in place

import importlib.abc
import importlib.machinery
import json
import os
import random
import resource
import sys
import time
import types
from pathlib import Path

import row_verdicts

STARTED = time.monotonic()
BEGUN = time.time()

# Packages that these code paths import and never compute with.
HOLLOW = (
    *("torch", "torchvision", "transformers", "decord", "datasets", "cv2", "imageio"),
    *("openai", "nltk", "sympy", "scipy", "sklearn", "networkx", "joblib", "jieba"),
    *("rouge", "Levenshtein", "math_verify", "pylatexenc", "matplotlib", "seaborn"),
    "vlmeval.vlm",
)


class Hollow(types.ModuleType):
    """A module in which every name exists, can be called, and can be inherited from."""

    __path__: tuple[str, ...] = ()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        full = f"{self.__name__}.{name}"
        return sys.modules.get(full) or Hollow(full)

    def __call__(self, *args, **kwargs):
        # As a decorator it hands back what it decorates.
        if len(args) == 1 and callable(args[0]) and not isinstance(args[0], Hollow):
            return args[0]
        return Hollow("called")

    def __iter__(self):
        return iter(())

    def __mro_entries__(self, bases):
        return (type("HollowBase", (), {}),)


class HollowFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers for HOLLOW and everything below it."""

    def find_spec(self, name, path=None, target=None):
        if any(name == one or name.startswith(f"{one}.") for one in HOLLOW):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return Hollow(spec.name)

    def exec_module(self, module):
        pass


def folder_name(served):
    """EvalScope's backend_manager: basename of `type`, ':' to '-', '.' to '_'."""
    return Path(served).name.replace(":", "-").replace(".", "_")


def model_parameters(model, retry):
    """EvalScope's merge: the user's keys over the registry's defaults; `retry` as run.py does."""
    given = dict(model)
    given.pop("name")
    merged = {
        "model": given.pop("type"),
        "temperature": 0,
        "img_size": -1,
        "img_detail": "high",
        "key": "EMPTY",
        "retry": 10,
    }
    merged.update(given)
    merged["retry"] = retry
    merged["verbose"] = False
    return merged


def forget_md5():
    """The TSVs are stand-ins for the official ones: what is in LMUData is taken as it is."""
    import vlmeval.dataset as catalog

    for cls in catalog.DATASET_CLASSES:
        sums = getattr(cls, "DATASET_MD5", None)
        if isinstance(sums, dict):
            sums.clear()


def skip_sleep():
    """Only the pauses of the client module; nothing is drawn from them but time."""
    from vlmeval.api import base

    base.time = types.SimpleNamespace(sleep=lambda _seconds: None)


def own_temporary_files():
    """Circular scoring writes /tmp/<second>.xlsx, where two processes would meet."""
    from vlmeval.dataset.utils import multiple_choice

    original = multiple_choice.timestr
    multiple_choice.timestr = lambda: f"peer-{os.getpid()}-{original()}"


def small_pool():
    """A collection's pictures are written by 32 processes a member; how many changes nothing."""
    import multiprocessing

    from vlmeval.smp import file

    file.mp = types.SimpleNamespace(Pool=lambda _size: multiprocessing.Pool(2))


NO_ANSWERS = ("DocVQA_TEST", "InfoVQA_TEST", "Q-Bench1_TEST", "A-Bench_TEST")


def is_scored(name):
    """run.py's list of what is not evaluated."""
    from vlmeval.smp import MMBenchOfficialServer

    if name.startswith("MMBench_TEST"):
        return MMBenchOfficialServer(name)
    submitted = name == "MMMU_TEST" or "MMT-Bench_ALL" in name
    unscored = "MLLMGuard_DS" in name or name == "AesBench_TEST"
    return not (submitted or unscored or name in NO_ANSWERS)


def submit(name, table):
    """run.py's branches for what others score."""
    from vlmeval.utils.result_transfer import (
        MMMU_result_transfer,
        MMTBench_result_transfer,
    )

    if name == "MMMU_TEST":
        MMMU_result_transfer(str(table))
    elif "MMT-Bench_ALL" in name:
        MMTBench_result_transfer(str(table), **JUDGE)


# run.py's get_judge_kwargs under `judge: exact_matching`.
JUDGE = {
    "nproc": 4,
    "verbose": False,
    "retry": 6,
    "timeout": 600,
    "model": "exact_matching",
}


def evaluate_remaining(dataset, table, folder):
    """Upstream's evaluate() without the groups of rows one of whose requests failed."""
    from vlmeval.inference import FAIL_MSG
    from vlmeval.smp import dump

    # infer_data_job left the raw predictions in dataset.data; the xlsx would re-type the column.
    full, keys = dataset.data, row_verdicts.group_keys(dataset)
    failed = [FAIL_MSG in text for text in full["prediction"]]
    gone = {key for key, fail in zip(keys, failed, strict=True) if fail}
    folder.mkdir(parents=True, exist_ok=True)
    dump(full[[key not in gone for key in keys]], str(folder / table.name))
    dataset.evaluate(str(folder / table.name), **JUDGE)


def run_dataset(name, model, model_name, job, folder):
    """Inference and scoring of one dataset; returns what the caller measures."""
    from vlmeval.dataset import build_dataset
    from vlmeval.inference import infer_data_job

    begun, cpu = time.monotonic(), time.process_time()
    dataset = build_dataset(name)
    loaded = time.monotonic()
    infer_data_job(
        model,
        work_dir=str(folder),
        model_name=model_name,
        dataset=dataset,
        verbose=False,
        api_nproc=job["nproc"],
        limit=job["limit"],
    )
    inferred, infer_cpu = time.monotonic(), time.process_time() - cpu
    # Inference leaves the answers in dataset.data as they came, before the xlsx round trip.
    data = dataset.data
    indices = [str(index) for index in data["index"]]
    said = {"predictions": list(zip(indices, data["prediction"], strict=True))}
    table = folder / f"{model_name}_{name}.xlsx"
    scored = is_scored(name)
    if job["drop_failed"] and scored:
        rest = folder.parent / "remaining" / model_name
        evaluate_remaining(dataset, table, rest)
        kept = row_verdicts.verdicts(dataset, rest / table.name)
        said["verdicts_of_remaining"] = kept
    scoring = time.monotonic()
    scores = dataset.evaluate(str(table), **JUDGE) if scored else submit(name, table)
    ended = time.monotonic()
    said["scores"] = scores.to_dict("records") if hasattr(scores, "columns") else scores
    if scored:
        said["verdicts"] = row_verdicts.verdicts(dataset, table)
        said["groups"] = row_verdicts.group_verdicts(dataset, table)
        said["rotations"] = row_verdicts.rotations(dataset)
        said["units"] = row_verdicts.units(dataset)
    else:
        said["verdicts"] = dict.fromkeys(indices)
    (folder.parent / f"{model_name}.{name}.json").write_text(
        json.dumps(said, default=float)
    )
    return {
        "rows": len(data),
        "load_seconds": loaded - begun,
        "infer_seconds": inferred - loaded,
        "infer_cpu_seconds": infer_cpu,
        "score_seconds": ended - scoring,
    }


def main():
    job = json.loads(Path(sys.argv[1]).read_text())
    sys.meta_path.insert(0, HollowFinder())
    from vlmeval.api import CustomAPIModel

    imported = time.monotonic()
    if job["skip_sleep"]:
        skip_sleep()
    forget_md5()
    own_temporary_files()
    small_pool()
    names, per_dataset = [], {}
    for parameters in job["models"]:
        names.append(folder_name(parameters["type"]))
        folder = Path(job["folder"]) / names[-1]
        folder.mkdir(parents=True, exist_ok=True)
        for name in job["datasets"]:
            random.seed(42)
            # A model object per dataset, as a process per dataset would have it.
            model = CustomAPIModel(**model_parameters(parameters, job["retry"]))
            per_dataset[name] = run_dataset(name, model, names[-1], job, folder)
    mine = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    facts = {
        "model_name": names[0],
        "begun": BEGUN,
        "wall_seconds": time.monotonic() - STARTED,
        "import_seconds": imported - STARTED,
        "datasets": per_dataset,
        "cpu_seconds": mine.ru_utime
        + mine.ru_stime
        + children.ru_utime
        + children.ru_stime,
        "peak_rss_bytes": mine.ru_maxrss * 1024,
    }
    (Path(job["folder"]) / "facts.json").write_text(json.dumps(facts))


# The guard matters: VQA scoring forks a multiprocessing pool.
if __name__ == "__main__":
    main()
