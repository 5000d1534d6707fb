"""The OpenAPI document and the start of the process."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from llm_manager.gateway.app import create_app, openapi
from llm_manager.gateway.settings import GatewaySettings
from llm_manager.kit.secrets import key_id_of
from llm_manager.kit.settings import SettingsError, load
from llm_manager.testing.master_key import MASTER_KEY, MASTER_KEY_TEXT

KEY = MASTER_KEY_TEXT
MINIMUM = {
    "LLM_MANAGER_GATEWAY_DATABASE_URL": "sqlite+aiosqlite:///x.db",
    "LLM_MANAGER_GATEWAY_MASTER_KEY": KEY,
}
ROUTES = {
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/embeddings"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/{model_id}"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/rerank"),
    ("POST", "/v1/responses"),
    ("POST", "/v1/responses/compact"),
    ("POST", "/v1/responses/input_tokens"),
    ("GET", "/v1/responses/{response_id}"),
    ("DELETE", "/v1/responses/{response_id}"),
    ("POST", "/v1/responses/{response_id}/cancel"),
    ("GET", "/v1/responses/{response_id}/input_items"),
    ("POST", "/v1/messages"),
    ("POST", "/v1/messages/count_tokens"),
    *(
        ("POST", f"/v1beta/models/{{model}}:{method}")
        for method in (
            "generateContent",
            "streamGenerateContent",
            "countTokens",
            "embedContent",
            "batchEmbedContents",
        )
    ),
    ("GET", "/v1beta/models"),
    ("GET", "/v1beta/models/{model}"),
    ("POST", "/api/v1/generate"),
    ("POST", "/v2/chat"),
    ("POST", "/v2/embed"),
    ("POST", "/v2/rerank"),
    *((method, "/api/v1/providers") for method in ("GET", "POST")),
    *((method, "/api/v1/providers/{provider}") for method in ("GET", "PATCH", "DELETE")),
    ("POST", "/api/v1/providers/{provider}/test"),
    ("GET", "/api/v1/providers/{provider}/models"),
    ("POST", "/api/v1/providers/{provider}/archive"),
    ("POST", "/api/v1/providers/{provider}/restore"),
    ("POST", "/api/v1/providers/{provider}/keys"),
    *((method, "/api/v1/providers/{provider}/keys/{key}") for method in ("PATCH", "DELETE")),
    *((method, "/api/v1/configurations") for method in ("GET", "POST")),
    *((method, "/api/v1/configurations/{configuration}") for method in ("GET", "PATCH", "DELETE")),
    *((method, "/api/v1/overrides") for method in ("GET", "POST")),
    *((method, "/api/v1/overrides/{override}") for method in ("GET", "PATCH", "DELETE")),
    *((method, "/api/v1/aliases") for method in ("GET", "POST")),
    *((method, "/api/v1/aliases/{alias}") for method in ("GET", "PATCH", "DELETE")),
    *((method, "/api/v1/users") for method in ("GET", "POST")),
    *((method, "/api/v1/users/{user}") for method in ("GET", "PATCH")),
    *((method, "/api/v1/users/{user}/sessions") for method in ("GET", "DELETE")),
    *((method, "/api/v1/session") for method in ("GET", "POST", "DELETE")),
    ("PUT", "/api/v1/session/password"),
    ("GET", "/api/v1/apps"),
    ("POST", "/api/v1/apps"),
    ("GET", "/api/v1/apps/{app}"),
    ("PATCH", "/api/v1/apps/{app}"),
    ("GET", "/api/v1/permissions"),
    ("GET", "/api/v1/roles"),
    ("GET", "/api/v1/secrets"),
    ("GET", "/api/v1/packages"),
    ("GET", "/api/v1/packages/export"),
    ("GET", "/api/v1/packages/{package}"),
    ("POST", "/api/v1/packages"),
    ("POST", "/api/v1/packages/{package}/install"),
    ("POST", "/api/v1/secrets/rotate"),
    ("GET", "/api/v1/audit"),
    ("GET", "/api/v1/audit/export"),
    ("GET", "/api/v1/audit/proof"),
    ("GET", "/api/v1/keys"),
    ("GET", "/api/v1/keys/{key_id}"),
    ("PATCH", "/api/v1/keys/{key_id}"),
    ("POST", "/api/v1/keys/{key_id}/rotate"),
    ("POST", "/api/v1/keys"),
    ("DELETE", "/api/v1/keys/{key_id}"),
    ("GET", "/api/v1/usage/top"),
    ("GET", "/api/v1/usage/total"),
    ("GET", "/api/v1/usage/events"),
    ("GET", "/api/v1/usage/errors"),
    ("GET", "/healthz"),
}


@pytest.mark.requirement("S42")
def test_every_route_is_described_and_what_is_described_exists() -> None:
    document = openapi()
    described = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
        if method in {"get", "post", "put", "patch", "delete"}
    }
    assert described == ROUTES


@pytest.mark.requirement("S42")
def test_every_operation_says_who_may_call_it_what_it_takes_and_how_it_fails() -> None:
    document = openapi()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"]
            assert operation["description"]
            if path == "/healthz":
                continue
            is_admin = path.startswith("/api/v1/") and path != "/api/v1/generate"
            schemes = ("HTTPBasic", "Session", "AdminKey") if is_admin else ("ApiKey",)
            is_log_in = (method, path) == ("post", "/api/v1/session")
            assert operation.get("security", []) == [{scheme: []} for scheme in schemes if not is_log_in]
            refusal = operation["responses"]["401"]["content"]["application/json"]["schema"]
            # Cohere's errors are flat
            assert ("message" if path.startswith("/v2/") else "error") in refusal["required"]
            # FastAPI would describe its own errors there; those of the platform's own API are ours
            assert ("422" in operation["responses"]) == path.startswith("/api/v1/")
    chat: dict[str, Any] = document["paths"]["/v1/chat/completions"]["post"]
    assert chat["requestBody"]["content"]["application/json"]["example"]["model"] == "echo"
    assert set(chat["responses"]["200"]["content"]) == {"application/json", "text/event-stream"}
    assert set(document["components"]["securitySchemes"]) == {"ApiKey", "AdminKey", "HTTPBasic", "Session"}


def test_there_are_at_most_three_middlewares() -> None:
    assert len(create_app().user_middleware) <= 3


async def test_the_document_is_served(http: httpx2.AsyncClient) -> None:
    assert (await http.get("/openapi.json")).json() == openapi()


def test_settings_are_read_and_secrets_hidden() -> None:
    settings = load(GatewaySettings, MINIMUM)
    settings.check()
    assert settings.secret_box().key_ids == {key_id_of(MASTER_KEY)}
    assert KEY not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MASTER_KEY", "short"),
        ("MASTER_KEY", "ä" * 43),
        ("MASTER_KEY", "A" * 43),
        ("ADMIN_PASSWORD", "admin"),
        ("ADMIN_PASSWORD", "password1234"),
        ("NATS_TOKEN", "short"),
        ("RPC_TOKEN", "change-me-change-me-change-me"),
        ("BOOTSTRAP_API_KEY", "lm_live_mistyped"),
        ("HEARTBEAT_SECONDS", "16"),
        ("HEARTBEAT_SECONDS", "0"),
        ("PORTT", "1"),
    ],
)
def test_a_wrong_setting_stops_the_start_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"LLM_MANAGER_GATEWAY_{name}"):
        load(GatewaySettings, {**MINIMUM, f"LLM_MANAGER_GATEWAY_{name}": value}).check()
