from __future__ import annotations

from pathlib import Path

import pytest

from llm_manager.cli.data_dir import DataDir
from llm_manager.cli.exit_codes import CommandError, ExitCode
from llm_manager.cli.stack import plan
from llm_manager.cli.stack.child import ChildSpec
from llm_manager.cli.stack.ports import PortKeeper
from llm_manager.cli.stack.variables import ADMIN_KEYS
from llm_manager.core.facts import load_facts
from llm_manager.kit.bus.permissions import PERMISSIONS

_PORTS = plan.Ports(
    api=8080, grpc=8081, nats=21000, usage_rpc=21001, ops={"usage": 21002, "providers": 21003, "gateway": 21004}
)


def _specs(tmp_path: Path, **environ: str) -> dict[str, ChildSpec]:
    data = DataDir(tmp_path)
    data.prepare()
    stages = plan.stages(plan.Wiring(data, _PORTS, plan.Pipes(lifeline=7, guard=8), environ))
    return {spec.name: spec for stage in stages for spec in stage}


def _own(spec: ChildSpec) -> dict[str, str]:
    return {key: value for key, value in spec.environ.items() if key.startswith("LLM_MANAGER_")}


def test_the_bus_starts_first_and_ends_last_and_the_gateway_ends_first(tmp_path: Path) -> None:
    assert list(_specs(tmp_path)) == ["nats", "usage", "providers", "gateway"]


def test_the_gateway_is_wired_to_the_bus_the_ledger_and_its_secrets(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    assert _own(_specs(tmp_path)["gateway"]) == {
        "LLM_MANAGER_GATEWAY_NATS_URL": "nats://127.0.0.1:21000",
        "LLM_MANAGER_GATEWAY_NATS_USER": "gateway",
        "LLM_MANAGER_GATEWAY_NATS_TOKEN_FILE": f"{secrets}/nats-gateway",
        "LLM_MANAGER_GATEWAY_OPS_HOST": "127.0.0.1",
        "LLM_MANAGER_GATEWAY_OPS_PORT": "21004",
        "LLM_MANAGER_GATEWAY_PORT": "8080",
        "LLM_MANAGER_GATEWAY_GRPC_PORT": "8081",
        "LLM_MANAGER_GATEWAY_USAGE_ADDRESS": "127.0.0.1:21001",
        "LLM_MANAGER_GATEWAY_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/control-plane.db",
        "LLM_MANAGER_GATEWAY_RPC_TOKEN_FILE": f"{secrets}/rpc-token",
        "LLM_MANAGER_GATEWAY_MASTER_KEY_FILE": f"{secrets}/master-key",
        "LLM_MANAGER_GATEWAY_BOOTSTRAP_API_KEY_FILE": f"{secrets}/api-key",
        "LLM_MANAGER_GATEWAY_ADMIN_PASSWORD_FILE": f"{secrets}/admin-password",
        "LLM_MANAGER_LIFELINE_FD": "7",
    }


def test_usage_keeps_its_ledger_in_the_data_directory(tmp_path: Path) -> None:
    usage = _own(_specs(tmp_path)["usage"])
    assert usage["LLM_MANAGER_USAGE_CLICKHOUSE_DSN"] == f"chdb://{tmp_path}/clickhouse"
    assert usage["LLM_MANAGER_USAGE_GRPC_PORT"] == "21001"


def test_a_users_own_settings_win_but_not_over_the_wiring(tmp_path: Path) -> None:
    own = {
        "LLM_MANAGER_GATEWAY_DATABASE_URL": "postgresql+asyncpg://db/x",
        "LLM_MANAGER_GATEWAY_ADMIN_PASSWORD": "chosen",
        "LLM_MANAGER_GATEWAY_NATS_URL": "nats://elsewhere:4222",
        "LLM_MANAGER_GATEWAY_NATS_USER": "usage",
        "LLM_MANAGER_GATEWAY_NATS_TOKEN": "other",
        "OPENAI_API_KEY": "from the shell",
    }
    gateway = _specs(tmp_path, **own)["gateway"].environ
    assert gateway["LLM_MANAGER_GATEWAY_DATABASE_URL"] == "postgresql+asyncpg://db/x"
    assert gateway["LLM_MANAGER_GATEWAY_ADMIN_PASSWORD"] == "chosen"
    assert "LLM_MANAGER_GATEWAY_ADMIN_PASSWORD_FILE" not in gateway
    assert "LLM_MANAGER_GATEWAY_NATS_TOKEN" not in gateway
    assert gateway["LLM_MANAGER_GATEWAY_NATS_USER"] == "gateway"
    assert gateway["LLM_MANAGER_GATEWAY_NATS_URL"] == "nats://127.0.0.1:21000"
    assert gateway["OPENAI_API_KEY"] == "from the shell"


def test_every_service_has_a_user_of_the_bus_and_the_password_of_no_other(tmp_path: Path) -> None:
    specs = _specs(tmp_path)
    for name in plan.SERVICES:
        own = _own(specs[name])
        prefix = f"LLM_MANAGER_{name.upper()}_NATS_"
        assert (own[f"{prefix}USER"], own[f"{prefix}TOKEN_FILE"]) == (name, f"{tmp_path}/secrets/nats-{name}")
        assert [value for value in own.values() if "/nats-" in value] == [f"{tmp_path}/secrets/nats-{name}"]
    assert len({DataDir(tmp_path).read_secret(f"nats-{user}") for user in PERMISSIONS}) == len(PERMISSIONS)


def test_the_bus_gets_no_secret_from_the_environment_and_its_passwords_from_a_private_file(tmp_path: Path) -> None:
    nats = _specs(tmp_path, OPENAI_API_KEY="from the shell", PATH="/bin")["nats"]
    config = tmp_path / "run" / "nats.conf"
    assert nats.environ == {"PATH": "/bin", "GOGC": "50"}
    assert _specs(tmp_path, GOGC="100")["nats"].environ == {"GOGC": "100"}
    assert all(DataDir(tmp_path).read_secret(f"nats-{user}") in config.read_text() for user in PERMISSIONS)
    assert config.stat().st_mode & 0o077 == 0


def test_the_keys_of_providers_and_the_secrets_of_a_shell_reach_the_gateway_only(tmp_path: Path) -> None:
    facts = load_facts().values()
    theirs = {name for fact in facts for name in (fact.credential_env, fact.base_url_env) if name}
    theirs |= {"MY_OWN_KIND_TOKEN", "AWS_SECRET_ACCESS_KEY", "LLM_MANAGER_API_KEY", "anthropic_api_key"}
    specs = _specs(tmp_path, **dict.fromkeys(theirs, "secret"))
    assert "OPENAI_API_KEY" in theirs
    held = {name: theirs & spec.environ.keys() for name, spec in specs.items()}
    assert held == {"nats": set(), "usage": set(), "providers": set(), "gateway": theirs}


def test_as_whom_a_person_types_commands_is_no_service_told(tmp_path: Path) -> None:
    specs = _specs(tmp_path, **dict.fromkeys(ADMIN_KEYS, "x"))
    assert [name for name, spec in specs.items() if ADMIN_KEYS & spec.environ.keys()] == []


def test_a_service_gets_its_own_settings_and_not_those_of_another(tmp_path: Path) -> None:
    own = {f"LLM_MANAGER_{name}_LOG_LEVEL": "debug" for name in ("USAGE", "PROVIDERS", "GATEWAY")}
    own |= {"LLM_MANAGER_USAGE_RPC_TOKEN": "t", "LLM_MANAGER_GATEWAY_ADMIN_PASSWORD": "p"}
    own |= {"PATH": "/bin", "HTTPS_PROXY": "http://proxy", "SSL_CERT_FILE": "/ca.pem", "TZ": "UTC"}
    specs = _specs(tmp_path, **own)
    everybody = {"PATH", "HTTPS_PROXY", "SSL_CERT_FILE", "TZ"}
    assert {name: own.keys() & specs[name].environ.keys() for name in plan.SERVICES} == {
        "usage": everybody | {"LLM_MANAGER_USAGE_LOG_LEVEL", "LLM_MANAGER_USAGE_RPC_TOKEN"},
        "providers": everybody | {"LLM_MANAGER_PROVIDERS_LOG_LEVEL"},
        "gateway": everybody | {"LLM_MANAGER_GATEWAY_LOG_LEVEL", "LLM_MANAGER_GATEWAY_ADMIN_PASSWORD"},
    }


def test_a_longer_drain_of_a_service_is_waited_for(tmp_path: Path) -> None:
    assert _specs(tmp_path, LLM_MANAGER_USAGE_DRAIN_SECONDS="60")["usage"].drain_seconds == 65.0
    assert _specs(tmp_path, LLM_MANAGER_USAGE_DRAIN_SECONDS="long")["usage"].drain_seconds == 25.0


def test_the_wanted_port_is_the_option_then_the_variables_then_8080() -> None:
    both = {"LLM_MANAGER_PORT": "9000", "LLM_MANAGER_GATEWAY_PORT": "9001"}
    assert plan.wanted_port(0, both) == 0
    assert plan.wanted_port(None, both) == 9000
    assert plan.wanted_port(None, {"LLM_MANAGER_GATEWAY_PORT": "9001"}) == 9001
    assert plan.wanted_port(None, {}) == 8080
    with pytest.raises(CommandError, match="LLM_MANAGER_PORT") as failure:
        plan.wanted_port(None, {"LLM_MANAGER_PORT": "http"})
    assert failure.value.exit_code is ExitCode.SETTINGS


def test_every_port_of_a_stack_is_another(tmp_path: Path) -> None:
    keeper = PortKeeper(tmp_path)
    ports = plan.choose_ports(keeper, wanted=0, host="127.0.0.1", seed="x")
    keeper.close()
    assert len({ports.api, ports.grpc, ports.nats, ports.usage_rpc, *ports.ops.values()}) == 7


def test_a_gateway_on_all_addresses_is_reached_on_the_loopback_address() -> None:
    addresses = [plan.reachable(host) for host in ("0.0.0.0", "::", "127.0.0.1", "::1")]
    assert addresses == ["127.0.0.1", "127.0.0.1", "127.0.0.1", "[::1]"]


def test_the_admin_password_is_the_one_that_the_gateway_has(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    data.prepare()
    file = tmp_path / "password"
    file.write_text("from a file\n")
    key = "LLM_MANAGER_GATEWAY_ADMIN_PASSWORD"
    assert plan.secret_in_use(data, "admin-password", "ADMIN_PASSWORD", {key: "mine"}) == "mine"
    assert plan.secret_in_use(data, "admin-password", "ADMIN_PASSWORD", {f"{key}_FILE": str(file)}) == "from a file"
    assert plan.secret_in_use(data, "admin-password", "ADMIN_PASSWORD", {}) == data.read_secret("admin-password")
