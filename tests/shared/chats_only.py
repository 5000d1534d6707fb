"""Facts of our kinds as they would be if the provider had its chats and embeddings and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

_OTHER_DIALECTS = re.compile(r"^(also|completions_models|responses_models) = \[[^\]]*\]\n", re.MULTILINE)


def write_chats_only(data_dir: Path, kinds: Iterable[str]) -> None:
    """Put the facts into a data directory, so that clients of the Responses API are translated for these kinds."""
    folder = data_dir / "provider_facts"
    folder.mkdir()
    for kind in kinds:
        facts = (files("llm_manager.core") / "provider_facts" / f"{kind}.toml").read_text()
        facts = _OTHER_DIALECTS.sub("", facts).replace('"count_tokens", ', "").replace("is_probed = true\n", "")
        (folder / f"{kind}.toml").write_text(facts)
