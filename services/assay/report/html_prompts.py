"""Prompts for a page from prepared datasets in a store; the command line passes them to `html`."""

from __future__ import annotations

from collections.abc import Sequence

from assay.domain.errors import NotFoundError
from assay.domain.prompt import PicturePart, Prompt
from assay.store.objects import ObjectStore
from assay.store.prepared import PreparedDataset


class StoredPrompts:
    """A `PromptSource` over a store; pictures are named, not shown."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def texts(self, dataset: str, digest: str) -> Sequence[str | None] | None:
        """The prompt of every sample; None: this dataset is not (any more) prepared in the store.

        Raises:
            CorruptError: what is stored is no prepared dataset.
            StoreUnavailableError: the store did not answer.
        """
        if not digest:
            return None
        try:
            prepared = PreparedDataset.open(self._store, dataset, digest)
        except NotFoundError:
            return None
        return [
            None if ordinal in prepared.invalid else _text(prepared.prompt(ordinal))
            for ordinal in range(len(prepared.sample_ids))
        ]


def _text(prompt: Prompt) -> str:
    parts, pictures = [], 0
    for turn in prompt.turns:
        for part in turn.parts:
            if isinstance(part, PicturePart):
                pictures += 1
                parts.append(f"[picture {pictures}]")
            else:
                parts.append(part.text)
    return "\n".join(parts)
