"""What `up` looks at before it starts anything: what would fail later, with a trace, in one of the services."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from llm_manager.cli.data_dir import DataDir
from llm_manager.cli.exit_codes import CommandError, ExitCode
from llm_manager.cli.stack import leftovers, plan, ports, state

from . import settings, stores
from .finding import Finding

_PORT = "Port"


def refuse(data: DataDir, environ: Mapping[str, str], *, port: int | None) -> None:
    """Raise CommandError, one paragraph for each reason, when a start would fail.

    Raises:
        CommandError: a setting is wrong (exit code 78), or a port, the disk or a store (1).
    """
    wrong = [look(data, environ) for look in (settings.names, settings.addresses)]
    _raise(wrong, ExitCode.SETTINGS)
    _raise([asked_port(data, environ, port=port), *(look(data, environ) for look in _STORES)], ExitCode.FAILED)


def asked_port(data: DataDir, environ: Mapping[str, str], *, port: int | None) -> Finding:
    """Look whether the port that somebody asked for is free; without a wish, `up` takes the next free one."""
    wanted = plan.wanted_port(port, environ)
    is_asked = port is not None or any(environ.get(key) for key in plan.PORT_KEYS)
    if not wanted or ports.is_free(wanted, host=plan.api_host(environ)) or _is_ours(data, wanted):
        return Finding(_PORT, "ok", f"{wanted or 'any'} is free")
    look = f"ss -ltnp 'sport = :{wanted}' shows who listens there"
    if is_asked:
        remedy = f"stop that program, or choose another with --port or {plan.PORT_KEY} (0: any free one); {look}"
        return Finding(_PORT, "failed", f"{wanted} is in use", remedy)
    return Finding(_PORT, "warning", f"{wanted} is in use", f"'up' takes the next free one; {look}")


_STORES = (stores.disk, stores.database, stores.bus)


def _is_ours(data: DataDir, port: int) -> bool:
    """Whether it is held by what drains here, which `up` waits for."""
    last = state.read(data)
    return last is not None and urlsplit(last.base_url).port == port and bool(leftovers.alive(last))


def _raise(findings: list[Finding], exit_code: ExitCode) -> None:
    failed = [f"{one.name}: {one.detail}. What to do: {one.remedy}." for one in findings if one.state == "failed"]
    if failed:
        raise CommandError("\n".join(failed), exit_code=exit_code)
