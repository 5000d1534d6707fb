"""What `up` says when everything is ready: to a person, and to a program."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from . import plan
from .origins import ProviderOrigin
from .state import RunState

# Works without any account: the provider kind `echo` answers from this machine.
FIRST_MODEL = "echo"


@dataclass(frozen=True, slots=True)
class Greeting:
    """One running stack, as its user meets it.

    Args:
        providers: None when the gateway did not say.
        not_ready: processes that cannot do their work now, with the reason in their own words.
        changed_variables: set in the shell of this `up` otherwise than when the stack was started.
    """

    state: RunState
    data_dir: Path
    api_key: str
    admin_password: str
    persists: bool
    already_running: bool = False
    providers: Sequence[ProviderOrigin] | None = None
    changed_variables: Sequence[str] = ()
    not_ready: Mapping[str, str] = field(default_factory=dict[str, str])

    def as_json(self) -> dict[str, Any]:
        """Return what a program needs to use and to watch the stack."""
        pids = {name: child.pid for name, child in self.state.children.items()}
        return {
            "base_url": self.state.base_url,
            "api_key": self.api_key,
            "admin": {"user": plan.ADMIN_USER, "password": self.admin_password},
            "grpc": self.state.grpc,
            "nats": self.state.nats_url,
            "data_dir": str(self.data_dir),
            "persists": self.persists,
            "already_running": self.already_running,
            "changed_variables": list(self.changed_variables),
            "not_ready": dict(self.not_ready),
            "providers": None if self.providers is None else [asdict(provider) for provider in self.providers],
            "pids": {"supervisor": self.state.pid, **pids},
        }

    def as_text(self, *, is_detached: bool) -> str:
        """Return what a person reads and pastes."""
        persistence = (
            "State persists there: keys, providers, prices and every recorded call survive a restart."
            if self.persists
            else "It lies in memory (tmpfs): nothing survives a reboot. Choose another with LLM_MANAGER_DATA_DIR."
        )
        ending = "'make down' or 'llm-manager down' stops it." if is_detached else "Ctrl-C drains and stops."
        running = "runs already" if self.already_running else "is ready"
        return f"""
LLM Manager {running}. {ending}

  API base URL    {self.state.base_url}
  API key         {self.api_key}
  Admin           user '{plan.ADMIN_USER}', password '{self.admin_password}'
  gRPC            {self.state.grpc}
  Data directory  {self.data_dir}
                  {persistence}
{self._providers()}{self._changed()}{self._not_ready()}
Try it; the model '{FIRST_MODEL}' needs no account:

{self._curl()}

{self._python()}

Or: llm-manager chat -m {FIRST_MODEL} "Hello"   (from this folder: .venv/bin/llm-manager)
"""

    def _providers(self) -> str:
        if not self.providers:
            return ""
        lines = [f"{one.name} ({one.models} models; {one.as_text()})" for one in self.providers]
        if any(one.kept_variables for one in self.providers):
            lines.append("'llm-manager providers remove NAME' forgets what is kept.")
        return "  Providers       " + "\n                  ".join(lines) + "\n"

    def _not_ready(self) -> str:
        lines = "".join(f"\n{name} is not ready: {reason}" for name, reason in self.not_ready.items())
        return lines + "\n'llm-manager doctor' looks for the cause.\n" if lines else ""

    def _changed(self) -> str:
        if not self.changed_variables:
            return ""
        names = ", ".join(self.changed_variables)
        return (
            f"\nNot taken over: {names}. It runs with what it was started with;\n"
            "'llm-manager down' and then 'llm-manager up' take the new values over.\n"
        )

    def _curl(self) -> str:
        body = json.dumps({"model": FIRST_MODEL, "messages": [{"role": "user", "content": "Hello"}]})
        return f"""\
curl {self.state.base_url}/chat/completions \\
  -H 'Authorization: Bearer {self.api_key}' \\
  -H 'Content-Type: application/json' \\
  -d '{body}'"""

    def _python(self) -> str:
        return f"""\
from openai import OpenAI

client = OpenAI(base_url="{self.state.base_url}", api_key="{self.api_key}")
answer = client.chat.completions.create(model="{FIRST_MODEL}", messages=[{{"role": "user", "content": "Hello"}}])
print(answer.choices[0].message.content)"""


def does_persist(path: Path, *, mounts: Path = Path("/proc/mounts")) -> bool:
    """Tell whether a directory survives a reboot, as far as the system says."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return True
    holder, kind = "", ""
    for line in lines:
        _, folder, filesystem, *_ = line.split(" ")
        folder = folder.replace("\\040", " ")
        if len(folder) >= len(holder) and path.is_relative_to(folder):
            holder, kind = folder, filesystem
    return kind not in ("tmpfs", "ramfs")
