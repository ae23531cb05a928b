"""Between DatasetService's messages and domain records; nothing here decides anything."""

from __future__ import annotations

from collections.abc import Mapping

from assay.domain.prepared import PreparedRef, PrepareStage, StageProgress
from assay.domain.run import PicturePolicy, SourceOverride
from assay.v1 import dataset_pb2


def source_to_proto(source: SourceOverride) -> dataset_pb2.SourceOverride:
    """Where the user says a dataset's file is, as a message."""
    message = dataset_pb2.SourceOverride(
        md5=source.md5 or "", sha256=source.sha256 or ""
    )
    if source.url is not None:
        message.url = source.url
    elif source.path is not None:
        message.path = source.path
    elif source.s3 is not None:
        message.s3 = source.s3
    return message


def source_from_proto(message: dataset_pb2.SourceOverride) -> SourceOverride:
    """Where the user says a dataset's file is, from a message."""
    where = message.WhichOneof("where")
    return SourceOverride(
        url=message.url if where == "url" else None,
        path=message.path if where == "path" else None,
        s3=message.s3 if where == "s3" else None,
        md5=message.md5 or None,
        sha256=message.sha256 or None,
    )


def sources_to_proto(
    sources: Mapping[str, SourceOverride],
) -> dict[str, dataset_pb2.SourceOverride]:
    """Where the user says the files of several datasets are, as messages."""
    return {name: source_to_proto(source) for name, source in sources.items()}


def sources_from_proto(
    messages: Mapping[str, dataset_pb2.SourceOverride],
) -> dict[str, SourceOverride]:
    """Where the user says the files of several datasets are, from messages."""
    return {name: source_from_proto(message) for name, message in messages.items()}


def policy_to_proto(policy: PicturePolicy) -> dataset_pb2.PicturePolicy:
    """A picture policy as a message."""
    return dataset_pb2.PicturePolicy(
        img_size=policy.img_size,
        max_file_bytes=policy.max_file_size,
        files=policy.files,
    )


def policy_from_proto(message: dataset_pb2.PicturePolicy) -> PicturePolicy:
    """A picture policy from a message."""
    return PicturePolicy(
        img_size=message.img_size,
        max_file_size=message.max_file_bytes,
        files=message.files,
    )


def prepared_to_proto(ref: PreparedRef) -> dataset_pb2.PreparedDataset:
    """A prepared dataset as a message."""
    return dataset_pb2.PreparedDataset(
        name=ref.name,
        prepared_digest=ref.digest,
        sample_count=ref.sample_count,
        source_digest=ref.source_digest,
        source_md5=ref.source_md5,
        size_bytes=ref.size_bytes,
    )


def prepared_from_proto(message: dataset_pb2.PreparedDataset) -> PreparedRef:
    """A prepared dataset from a message."""
    return PreparedRef(
        name=message.name,
        digest=message.prepared_digest,
        sample_count=message.sample_count,
        source_digest=message.source_digest,
        source_md5=message.source_md5,
        size_bytes=message.size_bytes,
    )


def progress_to_proto(
    step: StageProgress | PreparedRef,
) -> dataset_pb2.PrepareProgress:
    """One step of a preparation as a message."""
    if isinstance(step, PreparedRef):
        return dataset_pb2.PrepareProgress(ready=prepared_to_proto(step))
    stage = dataset_pb2.PrepareStage.Value(f"PREPARE_STAGE_{step.stage.name}")
    return dataset_pb2.PrepareProgress(
        stage=dataset_pb2.StageProgress(stage=stage, done=step.done, total=step.total)
    )


def stage_from_proto(message: dataset_pb2.StageProgress) -> StageProgress:
    """How far a preparation is, from a message.

    Raises:
        KeyError: a stage unknown to this version.
    """
    name = dataset_pb2.PrepareStage.Name(message.stage)
    stage = PrepareStage[name.removeprefix("PREPARE_STAGE_")]
    return StageProgress(stage, message.done, message.total)
