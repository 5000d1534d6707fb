"""What is said of LiteLLM's keys that hold nothing here, or hold in another way; data.

Source: litellm 1.110.2 (PyPI, MIT; read on 2026-11-30): proxy/_types.py `ConfigYAML` and `ConfigGeneralSettings`,
types/router.py `LiteLLM_Params`, `ModelInfo` and `UpdateRouterConfig`, router.py, __init__.py.
"""

from __future__ import annotations

import re

_ROUTING = "routing, retries and fallbacks between models come later (issue 17)"
_BUDGETS = "budgets are only reported for now and taken over later; nothing limits spending until then"
_PRICES = "prices come from files: name one in LLM_MANAGER_USAGE_PRICE_FILES"
_CACHE = "answers are not cached yet"
_GUARDRAILS = "there are no guardrails yet"
_CALLBACKS = "every call is in the ledger (`llm-manager usage`), and telemetry goes out by OTLP; there are no callbacks"
_ALERTS = "there are no alerts yet; /metrics can be watched with Prometheus"
_DATABASE = (
    "its database is not read: virtual keys, users and spending stay there; make keys with `llm-manager keys create`"
)
_CLOUD = "credentials of a cloud; there is no provider kind that signs with them"
_TEAMS = "there are no teams; apps have keys with models of their own"
_RATE = "limits of requests and tokens for keys come later"
_ACCESS = "say which models an app or a key may use: allowed_models"
_TOOLS = "tool servers and vector stores are not served"
_LOGIN = "people and their roles are managed with `llm-manager users`"
UNKNOWN = "LiteLLM's own or unknown; nothing here corresponds to it"

# First match wins; whole keys.
_KEYS: tuple[tuple[str, str], ...] = (
    (r"master_key", "clients use keys of this gateway: `llm-manager keys create`; the admin's password is its own"),
    (r"salt_key", "secrets are sealed with a master key of this installation"),
    (r"max_budget|soft_budget|budget_duration|.*budget.*", _BUDGETS),
    (r".*cost_per_.*|.*_cost(_.*)?|.*tiered_pricing|pricing_provider|base_model|.*ptu.*|cost_.*", _PRICES),
    (r"(context_window_|content_policy_|default_)?fallbacks|.*fallback.*|num_retries|max_retries", _ROUTING),
    (r"retry_.*|.*_retry_policy|allowed_fails.*|cooldown.*|disable_cooldowns|routing_.*|weights?|order", _ROUTING),
    (r".*_router_.*|.*tag_(filtering|regex|routing).*|model_group_.*|optional_pre_call_checks|region_name", _ROUTING),
    (r"enable_pre_call_checks|provider_affinity_header|default_litellm_params|use_litellm_proxy", _ROUTING),
    (r".*redis.*|cache.*|.*_cache(_.*)?|caching.*|enable_caching.*", _CACHE),
    (r".*guardrail.*|.*moderation.*|.*presidio.*|llm_guard.*|banned_keywords.*|blocked_user_list", _GUARDRAILS),
    (r".*callbacks?(_.*)?|.*langfuse.*|.*otel.*|.*log.*|json_logs|set_verbose|.*prometheus.*|.*datadog.*", _CALLBACKS),
    (r"alert.*|.*slack.*|.*webhook.*|spend_report.*", _ALERTS),
    (r"database_.*|store_.*|.*_db(_.*)?|supported_db_objects|.*spend.*|use_.*_ledger|db_model", _DATABASE),
    (
        r"key_management_.*|use_google_kms|use_azure_key_vault|.*secret_manager.*",
        "keys are sealed in the database here",
    ),
    (r"aws_.*|vertex_.*|azure_.*|tenant_id|client_id|client_secret|gcs_.*|s3_.*|watsonx_.*|.*bucket.*", _CLOUD),
    (r".*team.*|.*organization.*|.*customer.*|.*end_user.*|.*internal_user.*", _TEAMS),
    (r".*max_parallel_requests|.*[tr]p[md](_.*)?|.*rate_limit.*|daily_reset_time|.*queue.*|max_in_flight.*", _RATE),
    (
        r"access_groups|access_windows|allowed_routes|model_list_healthy_only|blocked|discoverable|.*_deny_by_default",
        _ACCESS,
    ),
    (r"(admin_only_|public_)routes|.*allowed_ips|trusted_.*", "keys can be bound to addresses: allowed_addresses"),
    (r"mcp_.*|vector_store.*|search_tools.*|.*_settings_tools|milvus_.*|valkey_.*", _TOOLS),
    (r"ui_.*|.*sso.*|.*jwt.*|custom_auth.*|.*login.*|.*oauth.*|litellm_license|role_.*|.*ui_username", _LOGIN),
    (
        r"request_timeout|timeout|stream_timeout",
        "LLM_MANAGER_GATEWAY_REQUEST_TIMEOUT_SECONDS limits calls, 600 seconds",
    ),
    (r"max_(request|file|response|batch)_.*size.*", "LLM_MANAGER_GATEWAY_MAX_BODY_BYTES limits requests"),
    (r".*health_check.*|background_.*", "workers report their own health"),
    (r"supports_.*", "what a model can do is known from its provider; set `capabilities` where that is wrong"),
    (r"pass_through.*|.*_pass_through|.*passthrough.*", "requests are not passed through unread"),
    (r"(files|finetune|batch|assistant)_settings", "there are no files, batches or fine-tunings yet"),
    (r"allowed_openai_params|modify_params", "which parameters a provider takes is known from its facts"),
    (r"extra_body", "parameters that only this server knows can be sent with each call"),
    (r"mock_response|mock_.*", "use a provider of the kind echo"),
    (r"user|metadata|safety_identifier|stream|stream_options|messages", "each call says this itself"),
    (r"id|updated_.*|created_.*|tier|description|source|mode_info", "a note of LiteLLM's own"),
    (r"ssl_.*|.*_verify|.*certificate.*", "certificates are those of this machine"),
    (r"completion_model|infer_model_from_keys", "clients name their models; `is_default` answers the model default"),
    (r"include", "other files are not read; import each of them"),
)
_COMPILED = tuple((re.compile(pattern), words) for pattern, words in _KEYS)


def words_for(key: str) -> str:
    """Return why a key of LiteLLM's holds nothing here, and what there is instead."""
    return next((words for pattern, words in _COMPILED if pattern.fullmatch(key)), UNKNOWN)
