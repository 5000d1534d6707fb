"""LiteLLM's proxy: one worker (its default), no database, logs as its guide for production says."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.peers import NotInstallable, Peer
from bench.peers.install import ROOT, UV, installed, run, uv_settings
from bench.peers.process import Start, answering, free_port

# Made by `echo 'litellm[proxy]==VERSION' | uv pip compile --universal --generate-hashes --no-annotate --no-header
# --python-version 3.11 - -o bench/peers/litellm.lock`. On 2026-11-29 PyPI had 1.110.2 but no litellm-proxy, which
# its extra "proxy" needs; 1.108.7 is the newest of which everything could be had.
LOCK = Path(__file__).with_name("litellm.lock")
_MASTER_KEY = "sk-bench"
_ENVIRON: Mapping[str, str] = {
    # no .env is read, and no line is logged for each request
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOG": "ERROR",
    # the list of prices that came with it: it would fetch a newer one at every start
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}


@contextmanager
def running(upstream: str, folder: Path) -> Generator[Peer]:
    """Run the proxy in front of the upstream, such as "http://127.0.0.1:9911"; the folder must be empty.

    Raises:
        NotInstallable: its packages cannot be had, or it does not answer within 90 s.
    """
    version, home = locked_version(), installed("litellm", LOCK.read_text(), _install)
    config, port = folder / "config.yaml", free_port()
    config.write_text(json.dumps(_config(upstream), indent=2))
    command = [home / "venv/bin/litellm", "--config", config.absolute(), "--host", "127.0.0.1", "--port", str(port)]
    start = Start([*command, "--num_workers", "1"], _ENVIRON, deadline_seconds=90)
    headers = {"authorization": f"Bearer {_MASTER_KEY}"}
    peer = Peer("LiteLLM", version, f"http://127.0.0.1:{port}/v1", headers, "mock-model")
    with answering(peer, start, folder) as peer:
        yield peer


def _config(upstream: str) -> dict[str, Any]:
    """Return the configuration; JSON is YAML too."""
    target = {"model": "openai/mock-model", "api_base": f"{upstream}/v1", "api_key": "any"}
    return {
        "model_list": [{"model_name": "mock-model", "litellm_params": target}],
        "litellm_settings": {"set_verbose": False, "telemetry": False},
        "general_settings": {"master_key": _MASTER_KEY},
    }


def locked_version() -> str:
    """Return the version that the lock pins."""
    found = re.search(r"^litellm==(\S+)", LOCK.read_text(), re.MULTILINE)
    if found is None:
        raise NotInstallable(f"{LOCK} does not pin litellm.")
    return found[1]


def _install(home: Path) -> None:
    python = home / "venv/bin/python"
    run([UV, "venv", "--quiet", "--python", ROOT / ".venv/bin/python", home / "venv"], folder=home)
    sync = [UV, "pip", "sync", "--quiet", "--compile-bytecode", "--only-binary", ":all:", "--python", python]
    run([*sync, "--require-hashes", LOCK], folder=home, environ=uv_settings())
