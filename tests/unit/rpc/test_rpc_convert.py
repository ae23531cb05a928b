"""Messages and records say the same things."""

import pytest

from assay.domain.completion import Completion, Failure
from assay.domain.prompt import PicturePart, Prompt, TextPart, Turn
from assay.domain.sample import UnscoredReason
from assay.domain.task import TaskCounts, TaskId, TaskState
from assay.rpc import convert


@pytest.mark.parametrize("reason", list(UnscoredReason))
def test_every_reason_has_a_message_value(reason: UnscoredReason) -> None:
    assert convert.reason_from_proto(convert.reason_to_proto(reason)) is reason


@pytest.mark.parametrize("state", list(TaskState))
def test_every_task_state_has_a_message_value(state: TaskState) -> None:
    assert convert.task_state_from_proto(convert.task_state_to_proto(state)) is state


def test_an_unspecified_reason_is_an_error_not_a_guess() -> None:
    with pytest.raises(KeyError):
        convert.reason_from_proto(0)


@pytest.mark.parametrize(
    "completion",
    [
        Completion(ordinal=3, text=" None ", finish_reason="stop", latency=0.25),
        Completion(
            ordinal=0,
            turn=2,
            failure=Failure(reason=UnscoredReason.TIMEOUT, message="30 s"),
            attempts=6,
            history_digest="ab",
        ),
    ],
)
def test_a_completion_survives_the_wire(completion: Completion) -> None:
    message = convert.completion_to_proto(completion)
    assert convert.completion_from_proto(message) == completion


def test_a_prompt_reaches_the_worker_without_store_keys() -> None:
    picture = PicturePart(
        digest="d", key="datasets/x/packs/0", offset=5, length=7, url="file:///p"
    )
    prompt = Prompt((Turn((picture, TextPart("Question"))),))
    received = convert.prompt_from_proto(convert.prompt_to_proto(prompt))
    expected = PicturePart(digest="d", key="", offset=5, length=7, url="file:///p")
    assert received == Prompt((Turn((expected, TextPart("Question"))),))


def test_counts_and_ids_survive_the_wire() -> None:
    counts = TaskCounts(total=6, pending=1, leased=2, predicted=3)
    task = TaskId("m", "MMStar")
    assert convert.counts_from_proto(convert.counts_to_proto(counts)) == counts
    assert convert.task_id_from_proto(convert.task_id_to_proto(task)) == task
