"""A local model in its process: what it is asked, what its errors become, what is refused before."""

import json
from contextlib import asynccontextmanager

import pytest

from assay.config.local_model import digest_of
from assay.domain.errors import ConfigError
from assay.domain.sample import UnscoredReason
from assay.domain.task import TaskId
from assay.worker.engines.local import LocalEngine
from assay.worker.engines.model_check import check
from assay.worker.engines.outcome import Answer, AttemptFailure
from support.small_models import sample, small_model, small_python, weights


@pytest.fixture
def python(tmp_path):
    return small_python(tmp_path)


@asynccontextmanager
async def engine(tmp_path, python, name="small", words="fine", **local):
    place = weights(tmp_path / "weights", words)
    made = LocalEngine(
        small_model(python, place, name, **local), log=tmp_path / "model.log"
    )
    try:
        await made.open()
        yield made
    finally:
        await made.close()


async def asked(engine, dataset, what, **more):
    body = engine.build_sample(
        TaskId("small", dataset), sample(what, **more), lambda _picture: b"picture"
    )
    return (await engine.ask(body)).outcome


async def test_a_class_without_a_prompt_of_its_own_gets_the_datasets(tmp_path, python):
    async with engine(tmp_path, python) as made:
        said = await asked(made, "Plain", "this")
    assert said == Answer(text="hello picture|asked this")


async def test_a_class_builds_its_own_prompt_from_the_row_and_picture_files(
    tmp_path, python
):
    async with engine(tmp_path, python, arguments={"greeting": "hi"}) as made:
        said = await asked(made, "Own", "this")
    assert said == Answer(text="hi picture|Own: this")


async def test_a_conversation_goes_on_from_the_models_own_answers(tmp_path, python):
    async with engine(tmp_path, python) as made:
        said = await asked(made, "Talk", "then", history=("well",))
    assert said == Answer(text="user:first assistant:well user:then")


async def test_what_a_class_remembers_does_not_reach_the_next_dataset(tmp_path, python):
    async with engine(tmp_path, python, "remembers") as made:
        said = [await asked(made, name, "x") for name in ("A", "A", "B")]
    assert [each.text for each in said] == ["A 2", "A 4", "B 2"]


async def test_a_class_that_remembers_nothing_keeps_its_process(tmp_path, python):
    async with engine(tmp_path, python, "constant") as made:
        said = [await asked(made, name, "x") for name in ("A", "B")]
    assert said[0] == said[1]


@pytest.mark.parametrize(
    ("what", "verdict", "words"),
    [
        ("wrong", (UnscoredReason.REQUEST_REJECTED, True), "no such token"),
        ("full", (UnscoredReason.SERVER_ERROR, False), "out of memory"),
        ("nothing", (UnscoredReason.EMPTY_ANSWER, False), "empty"),
        ("die", (UnscoredReason.SERVER_ERROR, False), "process ended"),
    ],
)
async def test_a_sample_that_fails_says_why_and_the_next_is_answered(
    tmp_path, python, what, verdict, words
):
    async with engine(tmp_path, python) as made:
        failed = await asked(made, "Plain", what)
        after = await asked(made, "Plain", "this")
    assert isinstance(failed, AttemptFailure)
    assert (failed.reason, failed.permanent) == verdict
    assert words in failed.message
    assert isinstance(after, Answer)


@pytest.mark.parametrize(
    ("words", "why", "cure"),
    [
        ("too large", "CUDA out of memory", "`gpus`"),
        ("code", "not trusted", "trust_remote_code: true"),
        ("package", "flash_attention_of_yesterday", "`python`"),
    ],
)
async def test_a_model_that_cannot_be_built_says_why_and_the_cure(
    tmp_path, python, words, why, cure
):
    with pytest.raises(ConfigError) as caught:
        async with engine(tmp_path, python, words=words):
            pass
    assert why in caught.value.why
    assert cure in caught.value.cure


async def test_code_that_comes_with_weights_runs_where_it_is_allowed(tmp_path, python):
    async with engine(tmp_path, python, words="code", trust_remote_code=True) as made:
        assert isinstance(await asked(made, "Plain", "this"), Answer)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda place: place.rename(place.with_name("elsewhere")), "no folder"),
        (lambda place: (place / "model.safetensors").unlink(), "holds no weights"),
        (
            lambda place: (place / "config.json").write_text(
                json.dumps({"auto_map": {"AutoModel": "code.Model"}})
            ),
            "code of their own",
        ),
    ],
)
async def test_wrong_weights_are_refused_before_anything_is_started(
    tmp_path, python, spoil, why
):
    place = weights(tmp_path / "weights")
    spoil(place)
    made = LocalEngine(small_model(python, place))
    with pytest.raises(ConfigError, match=why):
        await made.open()
    await made.close()


@pytest.mark.parametrize("package", ["torch", "transformers"])
async def test_an_interpreter_that_lacks_a_package_is_named_with_the_cure(
    tmp_path, package
):
    python = small_python(tmp_path, without=package)
    made = LocalEngine(small_model(python, weights(tmp_path / "weights")))
    with pytest.raises(ConfigError, match=f"has no .*{package}.*make local"):
        await made.open()
    await made.close()


async def test_a_family_that_needs_another_transformers_is_refused_with_the_version(
    tmp_path, python
):
    place = weights(tmp_path / "weights")
    made = LocalEngine(small_model(python, place, "qwen_chat"))
    with pytest.raises(ConfigError, match=r"needs transformers >=4.33,<4.38"):
        await made.open()
    await made.close()
    await check(small_model(python, place, "qwen_chat", any_transformers=True), python)


async def test_every_group_of_cards_gets_a_replica_of_its_own(tmp_path, python):
    place = weights(tmp_path / "weights")
    environ = {"CUDA_VISIBLE_DEVICES": "0,1,2,3,4", "PATH": "/usr/bin:/bin"}
    made = LocalEngine(small_model(python, place, "constant", gpus=2), environ=environ)
    await made.open()
    said = {(await asked(made, "A", "x")).text for _ in range(4)}
    replicas = len(made._processes)
    await made.close()
    assert replicas == 2
    assert said <= {str(process._process.pid) for process in made._processes}


@pytest.mark.parametrize(("pictured", "parts"), [(True, 2), (False, 1)])
async def test_a_probe_asks_as_the_samples_do(tmp_path, python, pictured, parts):
    async with engine(tmp_path, python, "remembers") as made:
        said = (await made.ask(made.canary(with_picture=pictured))).outcome
    assert said == Answer(text=f"None {parts}")


async def test_it_leaves_neither_processes_nor_pictures(tmp_path, python):
    async with engine(tmp_path, python) as made:
        await asked(made, "Plain", "this")
        folder = made._folder
        assert list(folder.iterdir()) == []
    assert not folder.exists()
    assert not any(process.alive for process in made._processes)


async def test_weights_that_have_changed_since_the_run_was_accepted_are_refused(
    tmp_path, python
):
    place = weights(tmp_path / "weights")
    made = LocalEngine(
        small_model(python, place, digest=digest_of(place, "model_path"))
    )
    (place / "model.safetensors").write_text("others")
    with pytest.raises(ConfigError, match="start a new run"):
        await made.open()
    await made.close()
