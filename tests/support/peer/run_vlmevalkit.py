"""Real VLMEvalKit on one job: its dataset classes, prompts, client, inference and evaluate().

Runs inside the peer environment; `peer_environment.run_peer` starts it with the path of a JSON job.
It imports nothing of Assay. What is put in upstream's way is listed here, and none of it computes:
torch and other heavy packages are hollow, md5 sums of replaced TSVs are not checked, and random
pauses before a request are left out when the job says so.
"""

# ruff: noqa: PLC0415 - vlmeval can be imported only once the hollow packages are in place

import ast
import importlib.abc
import importlib.machinery
import json
import random
import resource
import sys
import time
import types
from pathlib import Path

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


def model_parameters(job):
    """EvalScope's merge: the user's keys over the registry's defaults; `retry` as run.py does."""
    given = dict(job["model"])
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
    merged["retry"] = job["retry"]
    merged["verbose"] = False
    return merged


def forget_md5(names):
    """The TSVs are stand-ins for the official ones: what is in LMUData is taken as it is."""
    import vlmeval.dataset as catalog

    for cls in catalog.DATASET_CLASSES:
        sums = getattr(cls, "DATASET_MD5", None)
        if isinstance(sums, dict):
            for name in names:
                sums.pop(name, None)


def skip_sleep():
    """Only the pauses of the client module; nothing is drawn from them but time."""
    from vlmeval.api import base

    base.time = types.SimpleNamespace(sleep=lambda _seconds: None)


def evaluate(dataset, table):
    # run.py's get_judge_kwargs under `judge: exact_matching`.
    dataset.evaluate(
        str(table),
        nproc=4,
        verbose=False,
        retry=6,
        timeout=600,
        model="exact_matching",
    )


def evaluate_remaining(dataset, table, folder):
    """Upstream's evaluate() on the rows whose request did not fail, in a folder of its own."""
    from vlmeval.inference import FAIL_MSG
    from vlmeval.smp import dump

    # infer_data_job left the raw predictions in dataset.data; the xlsx would re-type the column.
    full = dataset.data
    keep = [FAIL_MSG not in text for text in full["prediction"]]
    folder.mkdir(parents=True, exist_ok=True)
    dump(full[keep], str(folder / table.name))
    evaluate(dataset, folder / table.name)


def verdicts(name, table):
    """Per-sample verdicts as upstream's own result files have them, by index."""
    from vlmeval.dataset.utils.vqa_eval import hit_calculate
    from vlmeval.smp import load

    stem = str(table).removesuffix(".xlsx")
    if Path(f"{stem}_exact_matching_result.xlsx").exists():
        data = load(f"{stem}_exact_matching_result.xlsx")
        return {
            str(k): float(v) for k, v in zip(data["index"], data["hit"], strict=True)
        }
    if Path(f"{stem}_auxmatch.xlsx").exists():
        data = load(f"{stem}_auxmatch.xlsx")
        return {
            str(k): float(v) for k, v in zip(data["index"], data["score"], strict=True)
        }
    data = load(f"{stem}_results.xlsx")
    lines = [{"match": ast.literal_eval(text)} for text in data["eval_match"]]
    hits = [float(hit) for hit in hit_calculate(lines, name)]
    return {str(k): v for k, v in zip(data["index"], hits, strict=True)}


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
    said = {
        "predictions": {
            str(k): v for k, v in zip(data["index"], data["prediction"], strict=True)
        }
    }
    table, top = folder / f"{model_name}_{name}.xlsx", folder.parent
    if job["drop_failed"]:
        rest = top / "remaining" / model_name
        evaluate_remaining(dataset, table, rest)
        said["verdicts_of_remaining"] = verdicts(name, rest / table.name)
    scoring = time.monotonic()
    evaluate(dataset, table)
    ended = time.monotonic()
    said["verdicts"] = verdicts(name, table)
    (top / f"{name}.samples.json").write_text(json.dumps(said))
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
    forget_md5(job["datasets"])
    random.seed(42)
    model_name = folder_name(job["model"]["type"])
    folder = Path(job["folder"]) / model_name
    folder.mkdir(parents=True, exist_ok=True)
    per_dataset = {}
    for name in job["datasets"]:
        # A model object per dataset, as a process per dataset would have it.
        model = CustomAPIModel(**model_parameters(job))
        per_dataset[name] = run_dataset(name, model, model_name, job, folder)
    mine = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    facts = {
        "model_name": model_name,
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
    (folder.parent / "facts.json").write_text(json.dumps(facts))


# The guard matters: VQA scoring forks a multiprocessing pool.
if __name__ == "__main__":
    main()
