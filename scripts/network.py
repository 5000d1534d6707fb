"""Hand pip's network and certificate settings to uv, which does not read them itself."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

# pip's option -> uv's variable. uv's own variable wins where the environment has it.
_SAME_MEANING = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "proxy": "HTTPS_PROXY",
    "no-index": "UV_NO_INDEX",
}


def pip_settings(pythons: Sequence[Path | str], environ: Mapping[str, str]) -> dict[str, str]:
    """Return what pip would use, from its files and from PIP_… variables, as the first Python with pip tells it."""
    for python in pythons:
        command = [str(python), "-m", "pip", "config", "list"]
        try:
            said = subprocess.run(command, env=dict(environ), capture_output=True, text=True, timeout=60, check=True)
        except (OSError, subprocess.SubprocessError):
            continue
        return parse(said.stdout)
    return {}


def parse(listing: str) -> dict[str, str]:
    """Read `pip config list`: lines `<section>.<option>='<value>'`, where the environment (`:env:`) wins."""
    settings: dict[str, str] = {}
    rank = {"global": 0, "install": 1, ":env:": 2}
    lines = [line.partition("=") for line in listing.splitlines() if "=" in line]
    for name, _, value in sorted(lines, key=lambda line: rank.get(line[0].partition(".")[0], 0)):
        section, _, option = name.partition(".")
        if section in rank:
            settings[option.replace("_", "-")] = value.strip().strip("'\"").replace("\\n", " ")
    return settings


def uv_environment(environ: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which uv reaches the network as pip would."""
    env = dict(environ)
    for option, variable in _SAME_MEANING.items():
        value = " ".join(settings.get(option, "").split())
        if value and variable not in env and value.lower() not in ("0", "false"):
            env[variable] = value
    if "SSL_CERT_FILE" not in env and env.get("REQUESTS_CA_BUNDLE"):
        env["SSL_CERT_FILE"] = env["REQUESTS_CA_BUNDLE"]
    # the interpreter is chosen by find_python.sh; uv must not download another
    env["UV_PYTHON_DOWNLOADS"] = "never"
    env.pop("VIRTUAL_ENV", None)
    return env
