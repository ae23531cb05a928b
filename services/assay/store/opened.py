"""From a config to a store that is ready: the only place that knows which kinds there are."""

from __future__ import annotations

from assay.process.contract import FolderStoreConfig, S3StoreConfig
from assay.store.folder import FolderStore
from assay.store.objects import ObjectStore


def open_store(config: FolderStoreConfig | S3StoreConfig) -> ObjectStore:
    """Opens a store; one in a bucket is claimed first. Blocks.

    Raises:
        ConflictError: the bucket's prefix is somebody else's.
        StoreUnavailableError, StoreFullError: it does not answer, or not to us.
    """
    if isinstance(config, FolderStoreConfig):
        return FolderStore(config.cache, config.run_dir)
    # The client takes 0.2 s to import, and one machine has no bucket.
    from assay.store.s3 import S3Store  # noqa: PLC0415

    store = S3Store(config)
    store.claim()
    return store
