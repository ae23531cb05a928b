"""What VLMEvalKit decided about each row: from its result files, else by its own functions.

`run_vlmevalkit.py` calls it inside the peer environment, after `evaluate()`. Nothing is decided here.
"""

# ruff: noqa: PLC0415 - vlmeval can be imported only once the hollow packages are in place

import ast
import functools
from pathlib import Path

CIRCULAR = ("mmbench", "ccbench", "circular", "mmcr")
"""How upstream tells by a name that questions come in rotations (ImageMCQDataset.evaluate_heuristic)."""


def is_circular(dataset):
    return any(word in dataset.dataset_name.lower() for word in CIRCULAR)


def group_keys(dataset):
    """Which rows upstream counts together, one key a row; a key of its own where it counts rows."""
    data, name = dataset.data, dataset.dataset_name
    if name == "MME":
        return list(zip(data["category"], data["image_path"], strict=True))
    if is_circular(dataset):
        members = data.get("SUB_DATASET", [name] * len(data))
        own = data["original_index" if "original_index" in data else "index"]
        return [(m, int(i) % 10**6) for m, i in zip(members, own, strict=True)]
    return list(range(len(data)))


def verdicts(dataset, table):
    """By index as text.

    Args:
        dataset: as upstream built it.
        table: the prediction file that was evaluated.
    """
    if hasattr(dataset, "dataset_map"):
        return _of_members(dataset, table)
    stem = str(table).removesuffix(".xlsx")
    if is_circular(dataset):
        return _rotation_by_rotation(dataset, table)
    for ending, column in (("_exact_matching_result", "hit"), ("_auxmatch", "score")):
        if Path(f"{stem}{ending}.xlsx").exists():
            return _column(f"{stem}{ending}.xlsx", column)
    if Path(f"{stem}_results.xlsx").exists():
        return _vqa(dataset.dataset_name, f"{stem}_results.xlsx")
    if type(dataset).__name__ == "ImageCaptionDataset":
        return _captions(dataset, table)
    return _row_by_row(dataset, table)


def group_verdicts(dataset, table):
    """What the result file of a circular dataset says of each question, by its first rotation's index."""
    if hasattr(dataset, "dataset_map"):
        found = {}
        for name, member in dataset.dataset_map.items():
            own = Path(str(table).replace(dataset.dataset_name, name))
            numbers = _numbers(dataset, name)
            for key, hit in group_verdicts(member, own).items():
                found[numbers[key]] = hit
        return found
    if not is_circular(dataset):
        return {}
    stem = str(table).removesuffix(".xlsx")
    return _column(f"{stem}_exact_matching_result.xlsx", "hit")


def units(dataset):
    """The indices of rows that upstream counts together."""
    found = {}
    keys = group_keys(dataset)
    for key, index in zip(keys, dataset.data["index"], strict=True):
        found.setdefault(key, []).append(str(index))
    return [indices for indices in found.values() if len(indices) > 1]


def rotations(dataset):
    """The indices of each question's rotations, by the first one's."""
    found, firsts = {}, {}
    data = dataset.data
    own = data["original_index" if "original_index" in data else "index"]
    keys = group_keys(dataset)
    for key, index, original in zip(keys, data["index"], own, strict=True):
        found.setdefault(key, []).append(str(index))
        if isinstance(key, tuple) and key[1] == original:
            firsts[key] = str(index)
    return {firsts[key]: indices for key, indices in found.items() if key in firsts}


def _of_members(dataset, table):
    found = {}
    for name, member in dataset.dataset_map.items():
        # ConcatDataset.evaluate puts the member's name in place of its own.
        own = Path(str(table).replace(dataset.dataset_name, name))
        numbers = _numbers(dataset, name)
        for key, score in verdicts(member, own).items():
            found[numbers[key]] = score
    return found


def _numbers(dataset, member):
    """The collection's own number of each of a member's rows."""
    rows = dataset.data[dataset.data["SUB_DATASET"] == member]
    pairs = zip(rows["original_index"], rows["index"], strict=True)
    return {str(old): str(new) for old, new in pairs}


def _column(path, name):
    from vlmeval.smp import load

    data = load(path)
    return {str(k): float(v) for k, v in zip(data["index"], data[name], strict=True)}


def _rotation_by_rotation(dataset, table):
    """The result file speaks of whole questions; the same functions read each rotation."""
    from vlmeval.dataset.utils.multiple_choice import prefetch_answer
    from vlmeval.smp import load

    answers = dict(zip(dataset.data["index"], dataset.data["answer"], strict=True))
    data = load(str(table))
    data["prediction"] = [str(x) for x in data["prediction"]]
    return {
        str(row["index"]): float(prefetch_answer(row) == answers[int(row["index"])])
        for _, row in data.iterrows()
    }


def _vqa(name, path):
    from vlmeval.dataset.utils.vqa_eval import hit_calculate
    from vlmeval.smp import load

    data = load(path)
    lines = [{"match": ast.literal_eval(text)} for text in data["eval_match"]]
    hits = [float(hit) for hit in hit_calculate(lines, name)]
    return {str(k): v for k, v in zip(data["index"], hits, strict=True)}


_FIGURES = {
    "OCRBench": lambda scores: float(scores["Final Score"]),
    "MTVQADataset": lambda scores: scores["Average"] / 100,
}


def _row_by_row(dataset, table):
    """evaluate() on each row alone, its cells as they were read from the whole file."""
    import vlmeval.dataset.image_vqa as module
    from vlmeval.smp import load

    whole = load(str(table))
    figure = _FIGURES[type(dataset).__name__]
    found, kept = {}, (module.load, module.dump)
    module.dump = lambda *_: None
    try:
        for number, index in enumerate(whole["index"]):
            alone = whole.iloc[[number]].reset_index(drop=True)
            module.load = functools.partial(_given, alone)
            found[str(index)] = figure(dataset.evaluate(str(table)))
    finally:
        module.load, module.dump = kept
    return found


def _given(alone, _path):
    return alone


def _captions(dataset, table):
    """Each caption's share of ROUGE-L, the only figure that is a mean over rows."""
    from pycocoevalcap.rouge.rouge import Rouge
    from vlmeval.smp import load

    seen, original = [], Rouge.compute_score

    def noting(self, gts, res):
        score, shares = original(self, gts, res)
        seen.append(shares)
        return score, shares

    Rouge.compute_score = noting
    try:
        dataset.evaluate(str(table))
    finally:
        Rouge.compute_score = original
    indices = load(str(table))["index"]
    return {str(k): float(v) for k, v in zip(indices, seen[0], strict=True)}
