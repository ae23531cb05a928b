"""From a process's config to who it is when it calls, and whom it believes when it is called."""

from __future__ import annotations

from assay.process.contract import ProcessConfig, ServerConfig
from assay.process.token_file import TokenFile
from assay.rpc.callers import Authenticator, Role, SharedToken, TokenSource


def token_source(config: ProcessConfig) -> TokenSource:
    """What a process proves itself with."""
    if config.token_file is not None:
        return TokenFile(config.token_file)
    token = config.token.get_secret_value()
    return lambda: token


def authenticator(config: ServerConfig) -> Authenticator:
    """Whom a server believes: its own token's holders, or the cluster's service accounts."""
    callers = config.callers
    if callers is None:
        return SharedToken(config.token.get_secret_value())
    from assay.rpc.cluster_tokens import (  # noqa: PLC0415 - needless on one machine
        ClusterKeys,
        ServiceAccountTokens,
    )

    keys = ClusterKeys(callers.keys_url, token_source(config), callers.ca_file)
    return ServiceAccountTokens(
        keys,
        issuer=callers.issuer,
        platform=callers.platform,
        accounts={Role(role): subject for role, subject in callers.accounts.items()},
    )
