"""What all parts of the platform's own configuration have in common: strict, and camelCase as written."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

# Objects that are handed to Kubernetes as they are: it knows their fields, and newer ones too.
Handed = dict[str, Any]
Port = Annotated[int, Field(ge=1, le=65535)]


class Section(BaseModel):
    """A part of the chart's values, or of an EvalRun's placement."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        protected_namespaces=(),
    )
