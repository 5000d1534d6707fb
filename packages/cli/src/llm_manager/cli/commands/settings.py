"""Whether the variables mean something: those of the product, and the addresses of providers."""

from __future__ import annotations

import difflib
import importlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from llm_manager.cli.data_dir import DataDir
from llm_manager.cli.stack import plan
from llm_manager.cli.stack.variables import COMMAND_KEYS, PREFIX
from llm_manager.core.facts import Facts, FactsError, load_facts

from .finding import Finding

_NAMES = "Settings"
_ADDRESSES = "Base URLs"
# Read by examples, tests and tools; a shell may hold them beside the product's own.
_OTHERS = tuple(f"{PREFIX}{rest}" for rest in ("TEST_", "RECORDINGS", "REQUIRE_", "FIDELITY_", "SAMPLE_"))
_EXAMPLES = frozenset({f"{PREFIX}MODEL", f"{PREFIX}EMBEDDING_MODEL"})


def names(_data: DataDir, environ: Mapping[str, str]) -> Finding:
    """Look for variables that nobody reads, which are mostly misspelt ones."""
    known = {plan.PORT_KEY, *COMMAND_KEYS, *_EXAMPLES}
    unknown = [key for key in environ if key.startswith(PREFIX) and key not in known and not key.startswith(_OTHERS)]
    if unknown:
        # asked only now: the services' settings bring pydantic, 0.2 s that most starts need not wait for
        known |= set(_of_services())
        unknown = sorted(set(unknown) - known)
    if not unknown:
        return Finding(_NAMES, "ok", "every LLM_MANAGER_ variable is known")
    detail = "nobody reads " + ", ".join(unknown)
    return Finding(_NAMES, "failed", detail, "; ".join(_what_to_do(key, known) for key in unknown))


def addresses(data: DataDir, environ: Mapping[str, str]) -> Finding:
    """Look for base URLs of providers that are none."""
    wrong = [
        f"{fact.base_url_env} is no URL: {why}"
        for fact in known_facts(data, environ).values()
        if fact.base_url_env and (why := _no_url(environ.get(fact.base_url_env, "")))
    ]
    if wrong:
        return Finding(_ADDRESSES, "failed", "; ".join(wrong), "write it as https://host/path, or unset it")
    return Finding(_ADDRESSES, "ok", "every one is a URL")


def base_url(fact: Facts, environ: Mapping[str, str]) -> str:
    """Return the base URL that the environment gives to a kind; empty where it gives none, or one that is no URL."""
    text = environ.get(fact.base_url_env, "") if fact.base_url_env else ""
    return "" if _no_url(text) else text


def known_facts(data: DataDir, environ: Mapping[str, str] | None = None) -> Mapping[str, Facts]:
    """Return the facts of every kind, those of the owner included where they can be read."""
    env = os.environ if environ is None else environ
    folder = env.get("LLM_MANAGER_GATEWAY_FACTS_DIR")
    own = Path(folder) if folder else data.provider_facts
    try:
        return load_facts(own if own.is_dir() else None)
    except FactsError:
        return load_facts()  # the service that reads the folder at its start says what is wrong with it


def _of_services() -> Iterable[str]:
    """Every service keeps its settings in the same place (design, section 8)."""
    from llm_manager.kit.settings import ServiceSettings, variables

    for name in plan.SERVICES:
        module = importlib.import_module(f"llm_manager.{name}.settings")
        for item in vars(module).values():
            if isinstance(item, type) and issubclass(item, ServiceSettings) and item.__module__ == module.__name__:
                yield from variables(item)


def _what_to_do(key: str, known: Iterable[str]) -> str:
    # what they share would make every short name look like every other
    names = [name.removeprefix(PREFIX) for name in known]
    near = difflib.get_close_matches(key.upper().removeprefix(PREFIX), names, n=1, cutoff=0.7)
    return f"write {PREFIX}{near[0]} for {key}" if near else f"unset {key}"


def _no_url(text: str) -> str:
    """Say why a text is no URL, without the text: it may hold a key."""
    if not text:
        return ""
    if text != text.strip() or any(character.isspace() for character in text):
        return "it holds a blank"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        return str(error)
    if parts.scheme not in ("http", "https"):
        return "it does not begin with http:// or https://"
    if not parts.hostname or port == 0:
        return "it names no host" if port != 0 else "0 is no port"
    return ""
