"""What upstream's result files say of each row of a dataset that a judge decides; peer scripts import it."""

# ruff: noqa: PLC0415 - vlmeval can be imported only once the hollow packages are in place

import sys
from pathlib import Path

import row_verdicts


def mend_llavabench():
    """LLaVABench's module imports a name that is not there."""
    import vlmeval.smp.log

    sys.modules["vlmeval.dataset.smp"] = vlmeval.smp
    sys.modules["vlmeval.dataset.smp.log"] = vlmeval.smp.log


def verdicts(dataset, path, judge):
    """Each row's score, or each question's in rotations, from upstream's result files."""
    if hasattr(dataset, "dataset_map"):
        return members(dataset, path, judge)
    stem = str(path).removesuffix(".xlsx")
    return READERS.get(type(dataset).__name__, choices)(stem, judge)


def members(dataset, path, judge):
    found = {}
    for name, member in dataset.dataset_map.items():
        own = Path(str(path).replace(dataset.dataset_name, name))
        numbers = row_verdicts._numbers(dataset, name)
        for key, score in verdicts(member, own, judge).items():
            found[numbers[key]] = score
    return found


def choices(stem, judge):
    if Path(f"{stem}_auxmatch.xlsx").exists():
        return row_verdicts._column(f"{stem}_auxmatch.xlsx", "score")
    return row_verdicts._column(f"{stem}_{judge}_result.xlsx", "hit")


def checked(module):
    def read(stem, judge):
        from importlib import import_module

        from vlmeval.smp import load

        check = import_module(f"vlmeval.dataset.utils.{module}").post_check
        data = load(f"{stem}_{judge}.xlsx")
        rows = [data.iloc[row] for row in range(len(data))]
        return {str(row["index"]): float(check(row, prefetch=False)) for row in rows}

    return read


def conversations(stem, judge):
    from vlmeval.smp import load

    found = {}
    for index, answer in load(f"{stem}_{judge}.pkl").items():
        scores = answer["res"].astype(float)
        found[str(index)] = float(scores["Overall Score"].clip(0, 10).mean() / 10)
    return found


READERS = {
    "MathVista": checked("mathvista"),
    "MathVision": checked("mathv"),
    "MMVet": lambda stem, judge: row_verdicts._column(f"{stem}_{judge}.xlsx", "score"),
    "LLaVABench": lambda stem, _judge: {
        key: score / 10
        for key, score in row_verdicts._column(
            f"{stem}_openai_result.xlsx", "score"
        ).items()
    },
    "MMDUDataset": conversations,
}
