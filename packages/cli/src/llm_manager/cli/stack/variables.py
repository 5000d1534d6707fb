"""Which variables a run was started with, so that the next `up` can say that it brings others.

The values are secrets, so the state holds digests, keyed by a secret of the data directory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Mapping

from llm_manager.cli.data_dir import ENVIRONMENT_KEY, DataDir

PREFIX = "LLM_MANAGER_"
# Variables of the command line, which say nothing to a stack that runs.
ADMIN_KEYS = frozenset(f"LLM_MANAGER_ADMIN_{name}" for name in ("USER", "PASSWORD", "PASSWORD_FILE", "KEY", "KEY_FILE"))
COMMAND_KEYS = frozenset({ENVIRONMENT_KEY, "LLM_MANAGER_URL", "LLM_MANAGER_API_KEY"}) | ADMIN_KEYS
# OpenAI's word and everybody's: PROVIDER_API_KEY and PROVIDER_BASE_URL. The facts' names all end so.
PROVIDER_SUFFIXES = ("_API_KEY", "_BASE_URL")
_DIGEST_BYTES = 16


def digests(data: DataDir, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the digest of every variable that may mean something to the stack."""
    key = hashlib.sha256(data.read_secret("rpc-token").encode()).digest()
    return {
        name: hashlib.blake2b(
            environ[name].encode(errors="surrogateescape"), key=key, digest_size=_DIGEST_BYTES
        ).hexdigest()
        for name in sorted(environ)
        if environ[name] and name not in COMMAND_KEYS and name.startswith(PREFIX) | name.endswith(PROVIDER_SUFFIXES)
    }


def changed(
    data: DataDir, started_with: Mapping[str, str] | None, environ: Mapping[str, str], *, providers: Container[str]
) -> list[str]:
    """Return the variables that are set now and were not, or otherwise, when the run was started.

    Args:
        started_with: the digests of then, None when they were not kept.
        providers: names of the variables that bring providers; others of their form are somebody else's.
    """
    if started_with is None:
        return []
    return [
        name
        for name, digest in digests(data, environ).items()
        if started_with.get(name) != digest and (name.startswith(PREFIX) or name in providers)
    ]
