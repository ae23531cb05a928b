"""Real VLMEvalKit on one job with a model class of its own, on the processor; as `run_vlmevalkit`, else.

Runs inside the environment of local models; `support.local_parity` starts it. Nothing of Assay is imported.
Upstream's classes ask for a card and for flash attention, so both are read as the processor's here.
"""

# ruff: noqa: PLC0415 - as in run_vlmevalkit

import importlib.util
import json
import random
import sys
from pathlib import Path

import run_vlmevalkit as usual


def on_the_processor():
    """`cuda` is the processor, and flash attention what torch has for everybody."""
    import transformers

    feature = transformers.feature_extraction_utils.BatchFeature
    feature.to = lambda self, *_args, **_kwargs: self
    original = transformers.PreTrainedModel.from_pretrained.__func__

    def from_pretrained(cls, *args, **kwargs):
        settings = {"device_map": "cpu", "attn_implementation": "sdpa"}
        return original(cls, *args, **kwargs | settings)

    transformers.PreTrainedModel.from_pretrained = classmethod(from_pretrained)


def main():
    """Builds the class anew for every dataset, and runs upstream's own loop."""
    job = json.loads(Path(sys.argv[1]).read_text())
    usual.HOLLOW = tuple(
        name
        for name in usual.HOLLOW
        if "." not in name and importlib.util.find_spec(name) is None
    )
    sys.meta_path.insert(0, usual.HollowFinder())
    from vlmeval.config import supported_VLM
    from vlmeval.vlm.qwen2_vl import model as qwen

    on_the_processor()
    qwen.get_gpu_memory = lambda: [80_000]
    usual.forget_md5()
    usual.own_temporary_files()
    parameters = dict(job["model"])
    name = parameters.pop("name")
    folder = Path(job["folder"]) / name
    folder.mkdir(parents=True, exist_ok=True)
    told = {}
    for dataset in job["datasets"]:
        random.seed(42)
        model = supported_VLM[name](**parameters)
        told[dataset] = usual.run_dataset(dataset, model, name, job, folder)
    facts = {"model_name": name, "datasets": told}
    (Path(job["folder"]) / "facts.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main()
