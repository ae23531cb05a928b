"""What models were shown, from prepared datasets in a store; `page` passes it to `html`."""

from __future__ import annotations

from collections.abc import Sequence

from assay.domain.errors import NotFoundError
from assay.domain.prompt import PicturePart, Prompt
from assay.report.html_samples import PICTURE, Shown
from assay.store.objects import ObjectStore
from assay.store.prepared import PreparedDataset


class StoredPrompts:
    """A `PromptSource` over a store; a dataset of several models is read once."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._read: dict[tuple[str, str], Shown] = {}

    def shown(
        self, dataset: str, digest: str, sample_ids: Sequence[str]
    ) -> Shown | None:
        """What was shown for the first samples of a dataset.

        None: it is not (any more) prepared in the store, or these are not its samples.

        Raises:
            CorruptError: what is stored is no prepared dataset.
            StoreUnavailableError: the store did not answer.
        """
        if not digest:
            return None
        count = len(sample_ids)
        found = self._read.get((dataset, digest))
        if found is not None and len(found.texts) == count:
            return found
        try:
            prepared = PreparedDataset.open(self._store, dataset, digest)
        except NotFoundError:
            return None
        if list(prepared.sample_ids[:count]) != list(sample_ids):
            return None
        prompts = [
            None if ordinal in prepared.invalid else prepared.prompt(ordinal)
            for ordinal in range(count)
        ]
        found = Shown([_text(p) for p in prompts], [_pictures(p) for p in prompts])
        self._read[dataset, digest] = found
        return found


def _text(prompt: Prompt | None) -> str | None:
    if prompt is None:
        return None
    return "\n".join(
        # What stands for a picture must not come from the text.
        PICTURE if isinstance(part, PicturePart) else part.text.replace(PICTURE, "?")
        for turn in prompt.turns
        for part in turn.parts
    )


def _pictures(prompt: Prompt | None) -> tuple[PicturePart, ...]:
    if prompt is None:
        return ()
    return tuple(
        part
        for turn in prompt.turns
        for part in turn.parts
        if isinstance(part, PicturePart)
    )
