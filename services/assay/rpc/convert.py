"""Between protobuf messages and domain records; nothing here decides anything."""

from __future__ import annotations

from assay.domain.completion import Completion, Failure
from assay.domain.prompt import Part, PicturePart, Prompt, Row, TextPart, Turn
from assay.domain.sample import UnscoredReason
from assay.domain.task import TaskCounts, TaskId, TaskState
from assay.v1 import common_pb2, run_pb2


def reason_to_proto(reason: UnscoredReason) -> common_pb2.UnscoredReason.ValueType:
    """The enum value of a reason."""
    return common_pb2.UnscoredReason.Value(f"UNSCORED_REASON_{reason.name}")


def reason_from_proto(value: common_pb2.UnscoredReason.ValueType) -> UnscoredReason:
    """The reason of an enum value.

    Raises:
        KeyError: unspecified, or unknown to this version.
    """
    name = common_pb2.UnscoredReason.Name(value)
    return UnscoredReason[name.removeprefix("UNSCORED_REASON_")]


def task_id_to_proto(task: TaskId) -> common_pb2.TaskId:
    """A task's id as a message."""
    return common_pb2.TaskId(model=task.model, dataset=task.dataset)


def task_id_from_proto(message: common_pb2.TaskId) -> TaskId:
    """A task's id from a message."""
    return TaskId(model=message.model, dataset=message.dataset)


def task_state_to_proto(state: TaskState) -> run_pb2.TaskState.ValueType:
    """The enum value of a task's state."""
    return run_pb2.TaskState.Value(f"TASK_STATE_{state.name}")


def task_state_from_proto(value: run_pb2.TaskState.ValueType) -> TaskState:
    """The state of an enum value.

    Raises:
        KeyError: unspecified, or unknown to this version.
    """
    return TaskState[run_pb2.TaskState.Name(value).removeprefix("TASK_STATE_")]


def counts_to_proto(counts: TaskCounts) -> common_pb2.TaskCounts:
    """A task's counts as a message."""
    return common_pb2.TaskCounts(
        total=counts.total,
        pending=counts.pending,
        leased=counts.leased,
        predicted=counts.predicted,
        scored=counts.scored,
        unscored=counts.unscored,
    )


def counts_from_proto(message: common_pb2.TaskCounts) -> TaskCounts:
    """A task's counts from a message."""
    return TaskCounts(
        total=message.total,
        pending=message.pending,
        leased=message.leased,
        predicted=message.predicted,
        scored=message.scored,
        unscored=message.unscored,
    )


def prompt_to_proto(prompt: Prompt) -> common_pb2.Prompt:
    """A prompt as a message; its pictures must carry their `url` by now."""
    message = common_pb2.Prompt(
        turns=[
            common_pb2.Turn(parts=[_part_to_proto(part) for part in turn.parts])
            for turn in prompt.turns
        ]
    )
    if prompt.row is not None:
        message.row.cells_json = prompt.row.cells
        message.row.pictures.extend(map(_picture_to_proto, prompt.row.pictures))
    return message


def _part_to_proto(part: Part) -> common_pb2.Part:
    if isinstance(part, TextPart):
        return common_pb2.Part(text=part.text)
    return common_pb2.Part(picture=_picture_to_proto(part))


def _picture_to_proto(part: PicturePart) -> common_pb2.PictureRef:
    return common_pb2.PictureRef(
        digest=part.digest, url=part.url, offset=part.offset, length=part.length
    )


def prompt_from_proto(message: common_pb2.Prompt) -> Prompt:
    """A prompt from a message; `key` of its pictures stays empty: workers do not know the store."""
    row = None
    if message.HasField("row"):
        pictures = tuple(map(_picture_from_proto, message.row.pictures))
        row = Row(message.row.cells_json, pictures)
    return Prompt(
        turns=tuple(
            Turn(parts=tuple(_part_from_proto(part) for part in turn.parts))
            for turn in message.turns
        ),
        row=row,
    )


def _part_from_proto(message: common_pb2.Part) -> Part:
    if message.WhichOneof("kind") == "picture":
        return _picture_from_proto(message.picture)
    return TextPart(message.text)


def _picture_from_proto(ref: common_pb2.PictureRef) -> PicturePart:
    return PicturePart(
        digest=ref.digest, key="", offset=ref.offset, length=ref.length, url=ref.url
    )


def completion_to_proto(completion: Completion) -> common_pb2.Completion:
    """A completion as a message."""
    message = common_pb2.Completion(
        ordinal=completion.ordinal,
        turn=completion.turn,
        finish_reason=completion.finish_reason,
        prompt_token_count=completion.prompt_tokens,
        completion_token_count=completion.completion_tokens,
        attempt_count=completion.attempts,
        latency_seconds=completion.latency,
        history_digest=completion.history_digest,
    )
    if completion.failure is not None:
        message.failure.reason = reason_to_proto(completion.failure.reason)
        message.failure.message = completion.failure.message
    elif completion.text is not None:
        message.text = completion.text
    return message


def completion_from_proto(message: common_pb2.Completion) -> Completion:
    """A completion from a message.

    Raises:
        KeyError: a reason this version does not know.
        ValueError: neither an answer nor a failure.
    """
    failed = message.WhichOneof("outcome") == "failure"
    return Completion(
        ordinal=message.ordinal,
        turn=message.turn,
        text=message.text if message.WhichOneof("outcome") == "text" else None,
        failure=Failure(
            reason=reason_from_proto(message.failure.reason),
            message=message.failure.message,
        )
        if failed
        else None,
        finish_reason=message.finish_reason,
        prompt_tokens=message.prompt_token_count,
        completion_tokens=message.completion_token_count,
        attempts=message.attempt_count,
        latency=message.latency_seconds,
        history_digest=message.history_digest,
    )
