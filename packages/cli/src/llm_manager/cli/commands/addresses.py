"""What answers at the addresses of providers. Only `doctor` asks: a start does not wait for anybody's network."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any  # JSON documents

from llm_manager.cli.data_dir import DataDir
from llm_manager.core.facts import Facts

from . import settings
from .finding import Finding

_PROVIDERS, _LOCAL = "Provider addresses", "Local servers"
# Of everything together: look-ups of names, and servers that send a byte now and then, included.
DEADLINE_SECONDS = 2.0
_MAX_BODY_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    leads_to: str
    body: bytes


def providers(data: DataDir, environ: Mapping[str, str]) -> Finding:
    """Ask every base URL of the environment for its models, without a key, as a worker would: no redirect, no proxy."""
    asked = {
        fact.base_url_env: _models_of(base_url, fact)
        for fact in settings.known_facts(data, environ).values()
        if (base_url := settings.base_url(fact, environ)) and fact.paths.models
    }
    answers = dict(zip(asked, _ask(list(asked.values())), strict=True))
    moved = [
        f"{name} answers with a redirect ({answer.status}){answer.leads_to}"
        for name, answer in answers.items()
        if answer is not None and 300 <= answer.status < 400
    ]
    if moved:
        remedy = "write the address that it leads to; redirects are not followed, since they could carry the key away"
        return Finding(_PROVIDERS, "failed", "; ".join(moved), remedy)
    silent = [name for name, answer in answers.items() if answer is None]
    if silent:
        detail = f"no answer within {DEADLINE_SECONDS:g} s from {', '.join(silent)}"
        return Finding(_PROVIDERS, "warning", detail, "start that server, or correct its address")
    return Finding(_PROVIDERS, "ok", f"{', '.join(asked)}: answered" if asked else "no base URL is set")


def local(data: DataDir, environ: Mapping[str, str]) -> Finding:
    """Look for servers that `up` takes over when they run on this machine and no variable names them: Ollama."""
    facts = [
        fact
        for fact in settings.known_facts(data, environ).values()
        if fact.is_local and fact.base_url and not any(map(environ.get, (fact.base_url_env, fact.credential_env)))
    ]
    answers = _ask([_models_of(fact.base_url, fact) for fact in facts])
    found = [
        f"{fact.title} at {fact.base_url}{_count(answer.body)}"
        for fact, answer in zip(facts, answers, strict=True)
        if answer is not None and answer.status == 200
    ]
    return Finding(_LOCAL, "ok", "; ".join(found) or "none")


def _models_of(base_url: str, fact: Facts) -> str:
    return base_url.rstrip("/") + fact.paths.models


def _ask(urls: Sequence[str]) -> list[_Answer | None]:
    """Ask all at once; None for what did not answer in time."""
    answers: list[_Answer | None] = [None] * len(urls)

    def ask(at: int) -> None:
        answers[at] = _get(urls[at])

    # daemons, since nothing ends a look-up of a name, and the end of this program waits for every other thread
    threads = [threading.Thread(target=ask, args=(at,), daemon=True) for at in range(len(urls))]
    for thread in threads:
        thread.start()
    until = time.monotonic() + DEADLINE_SECONDS
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return list(answers)


def _get(url: str) -> _Answer | None:
    import httpx2  # 0.1 s that `up`, `down` and `status` need not wait for

    try:
        with (
            httpx2.Client(timeout=DEADLINE_SECONDS, trust_env=False, follow_redirects=False) as client,
            client.stream("GET", url) as answer,
        ):
            body = b""
            for piece in answer.iter_bytes() if answer.status_code == 200 else ():
                body += piece
                if len(body) > _MAX_BODY_BYTES:
                    break
            return _Answer(answer.status_code, _origin(answer.next_request), body)
    except (httpx2.HTTPError, httpx2.InvalidURL):
        return None


def _origin(request: Any) -> str:
    """Say where a redirect leads, without path and query: they may hold a key. Any: loaded late."""
    return "" if request is None else f" to {request.url.scheme}://{request.url.netloc.decode('ascii')}"


def _count(body: bytes) -> str:
    try:
        models = json.loads(body)["models"]
        return f", {len(models)} model{'' if len(models) == 1 else 's'}"
    except (ValueError, KeyError, TypeError):
        return ""
