"""What the gateway can be told by environment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from llm_manager.core.errors import InvalidRequest
from llm_manager.core.facts import Facts, FactsError, load_facts
from llm_manager.core.ids import parse_api_key
from llm_manager.gateway.http.cors import WrongOrigin, parse_origins
from llm_manager.gateway.http.forwarded import TrustedProxies
from llm_manager.gateway.users.passwords import check_password
from llm_manager.kit.master_keys import MasterKeySettings
from llm_manager.kit.outbound import Networks
from llm_manager.kit.secrets import Secret
from llm_manager.kit.settings import SettingsError, Token


class GatewaySettings(MasterKeySettings):
    """Prefix LLM_MANAGER_GATEWAY_."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_prefix="LLM_MANAGER_GATEWAY_", extra="forbid", frozen=True, validate_default=True
    )

    host: str = Field("127.0.0.1", description="Address on which the API answers.")
    port: int = Field(8080, ge=0, le=65535, description="Port of the API; 0 takes a free one.")
    grpc_port: int = Field(0, ge=0, le=65535, description="Port of the gRPC API; 0 switches it off.")
    database_url: str = Field(
        ..., description="Control-plane database: sqlite+aiosqlite:///path or postgresql+asyncpg://…"
    )
    usage_address: str = Field("", description="host:port of the usage service's gRPC; empty switches reports off.")
    rpc_token: Token = Field(None, description="Token that the services show each other over gRPC.")
    bootstrap_api_key: Secret | None = Field(None, description="API key that exists from the start, for app default.")
    admin_password: Secret | None = Field(None, description="Password of the user admin; empty switches it off.")
    max_body_bytes: int = Field(33_554_432, ge=1024, description="Largest request body.")
    max_connections: int = Field(10_000, ge=1, description="Most open HTTP connections; one more is refused with 503.")
    cors_origins: str = Field(
        "", description="Web pages that may call the API, as https://app.example.com, with commas; empty: none."
    )
    trusted_proxies: str = Field(
        "",
        description="Networks, separated by commas, of proxies whose X-Forwarded-For says who the client is, for "
        "example 10.0.0.0/8; empty: nobody's, and the client's address is that of the connection.",
    )
    heartbeat_seconds: float = Field(10.0, gt=0, le=15, description="Longest silence of a stream.")
    request_timeout_seconds: float = Field(600.0, gt=0, description="Longest time for one request.")
    responses_hours: float = Field(720.0, gt=0, description="How long responses of /v1/responses are kept.")
    detect_local_providers: bool = Field(True, description="Whether to look for providers on this machine.")
    probe_providers: bool = Field(True, description="Whether to ask servers of kind custom once what they can do.")

    facts_dir: Path | None = Field(
        None, description="Folder with provider kinds of your own, <kind>.toml each; the same name replaces ours."
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _are_proxies(cls, value: str) -> str:
        if any(network.prefixlen == 0 for network in Networks.parse(value).networks):
            raise ValueError("0.0.0.0/0 and ::/0 would let every client choose its address; name the proxies' networks")
        return value

    def proxies(self) -> TrustedProxies | None:
        """Return who may say for whom they send a request; None: nobody."""
        networks = Networks.parse(self.trusted_proxies)
        return TrustedProxies(networks) if networks.networks else None

    def known_facts(self) -> Mapping[str, Facts]:
        """Return the facts of every kind.

        Raises:
            SettingsError: a file in the folder is wrong; the message names it and the key.
        """
        try:
            return load_facts(self.facts_dir)
        except FactsError as error:
            raise SettingsError(str(error)) from error

    def allowed_origins(self) -> tuple[str, ...]:
        """Return the origins whose pages may call the API.

        Raises:
            SettingsError: one is not an exact origin.
        """
        try:
            return parse_origins(self.cors_origins)
        except WrongOrigin as error:
            raise SettingsError(f"LLM_MANAGER_GATEWAY_CORS_ORIGINS: {error}") from error

    def check(self) -> None:
        """Raise SettingsError when a secret or an origin has the wrong form, before anything is started."""
        try:
            if self.admin_password:
                check_password(self.admin_password.reveal(), name="admin")
        except InvalidRequest as error:
            raise SettingsError(f"LLM_MANAGER_GATEWAY_ADMIN_PASSWORD: {error.message}") from error
        self.allowed_origins()
        if self.bootstrap_api_key and parse_api_key(self.bootstrap_api_key.reveal()) is None:
            raise SettingsError(
                "LLM_MANAGER_GATEWAY_BOOTSTRAP_API_KEY is not an API key; make one with "
                "`python -c 'from llm_manager.core.ids import new_api_key; print(new_api_key().token)'`."
            )
