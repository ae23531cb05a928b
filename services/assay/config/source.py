"""One entry of `dataset_sources`: where the user says a dataset's TSV is."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from assay.config.kinds import Honoured, Text
from assay.config.problems import refused


class SourceConfig(BaseModel):
    """Where a dataset's TSV is: exactly one of `url`, `path` and `s3`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[str | None, Text(null=True, longest=4000), Honoured()] = Field(
        default=None,
        description="An http(s) address; `file:///absolute/path` means the same as `path`.",
    )
    path: Annotated[str | None, Text(null=True, longest=4000), Honoured()] = Field(
        default=None,
        description="A local file; a relative one is looked for from the current folder.",
    )
    s3: Annotated[str | None, Text(null=True, longest=1100), Honoured()] = Field(
        default=None, description="`s3://bucket/key`."
    )
    md5: Annotated[str | None, Text(null=True, longest=32), Honoured()] = Field(
        default=None, description="32 hex digits; replaces upstream's."
    )
    sha256: Annotated[str | None, Text(null=True, longest=64), Honoured()] = Field(
        default=None, description="64 hex digits."
    )

    @model_validator(mode="before")
    @classmethod
    def _file_address(cls, given: Any) -> Any:
        """Takes the address of a local file as the path it is."""
        url = given.get("url") if isinstance(given, dict) else None
        if not isinstance(url, str) or not url.startswith(
            ("file:///", "file://localhost/")
        ):
            return given
        rest = {key: value for key, value in given.items() if key != "url"}
        # With a path beside it, two places are named: what comes next says so.
        return (
            given if rest.get("path") else rest | {"path": unquote(urlsplit(url).path)}
        )

    @model_validator(mode="after")
    def _one_place(self) -> SourceConfig:
        places = [self.url, self.path, self.s3]
        if sum(place is not None for place in places) != 1:
            raise refused(
                "must name exactly one of url, path and s3",
                "keep the one that is meant",
            )
        if self.url is not None and not self.url.startswith(("http://", "https://")):
            raise refused("is not an http(s) address", "use path or s3", at="url")
        if self.s3 is not None and not self._is_object(self.s3):
            raise refused(
                "is not an S3 object", "write s3://bucket/path/NAME.tsv", at="s3"
            )
        for name, digits in (("md5", 32), ("sha256", 64)):
            value = getattr(self, name)
            if value is not None and not _is_hex(value, digits):
                raise refused(
                    f"is not {digits} hex digits",
                    f"write what `{name}sum FILE` prints",
                    at=name,
                )
        return self

    @staticmethod
    def _is_object(address: str) -> bool:
        bucket, _, key = address.removeprefix("s3://").partition("/")
        return address.startswith("s3://") and bool(bucket and key.strip("/"))


def _is_hex(text: str, digits: int) -> bool:
    return len(text) == digits and not set(text.lower()) - set("0123456789abcdef")
