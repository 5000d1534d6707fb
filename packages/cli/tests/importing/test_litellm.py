from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, cast

import msgspec
import pytest

from llm_manager.cli.importing.addresses import Address, address_of, address_of_azure
from llm_manager.cli.importing.deployments import PARAMETERS
from llm_manager.cli.importing.document import ImportRefused, parse
from llm_manager.cli.importing.endpoints import _WITHOUT_ADDRESS  # pyright: ignore[reportPrivateUsage] compared here
from llm_manager.cli.importing.litellm import plan_of
from llm_manager.cli.importing.plan import Plan, PlannedAlias
from llm_manager.cli.importing.prefixes import PREFIXES, Meant, meant
from llm_manager.cli.importing.report import Outcome
from llm_manager.core.facts import load_facts

FACTS = load_facts()
# Written after litellm 1.110.2: proxy/example_config_yaml/{azure_config,load_balancer,oai_misc_config}.yaml and
# docs.litellm.ai/docs/proxy/configs, with a key wherever one can stand.
FULL = """
environment_variables:
  INNER_KEY: sk-canary-inner
  REDIS_HOST: localhost
credential_list:
  - credential_name: vllm-eu
    credential_values: {api_key: sk-canary-credential, api_base: http://10.0.0.5:8000/v1}
    credential_info: {description: on premise}
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: openai/gpt-4o
      api_key: os.environ/OPENAI_API_KEY
      organization: org-canary
      temperature: 0.2
      max_tokens: 512
      stop: [END]
      seed: 7
      rpm: 60
      tpm: 100_000
      timeout: 30
      stream_timeout: 5
      extra_headers: {X-Team: search, X-Token: os.environ/TOKEN}
      drop_params: true
      tags: [paid, "team:search"]
      max_retries: 2
      input_cost_per_token: 0.000001
      max_budget: 10
      budget_duration: 1d
      made_up: sk-canary-unknown
    model_info: {id: x, mode: chat, max_input_tokens: 128000, max_output_tokens: 16384, supports_vision: true}
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt4o-deployment
      api_base: https://mine.openai.azure.com/
      api_version: "2024-10-21"
      api_key: sk-canary-azure
  - {model_name: local, litellm_params: {model: hosted_vllm/qwen, litellm_credential_name: vllm-eu}}
  - {model_name: "anthropic/*", litellm_params: {model: "anthropic/*", api_key: os.environ/INNER_KEY}}
  - {model_name: claude-on-aws, litellm_params: {model: bedrock/claude, aws_secret_access_key: sk-canary-aws}}
  - {model_name: mystery, litellm_params: {model: nobody-knows}}
litellm_settings: {num_retries: 3, cache: true, callbacks: [langfuse], max_budget: 100, model_alias_map: {old: local}}
router_settings:
  routing_strategy: usage-based-routing-v2
  fallbacks: [{gpt-4o: [local]}]
  model_group_alias: {best: gpt-4o, hidden: {model: local, hidden: true}, lost: nothing, gpt-4o: local}
general_settings: {master_key: sk-canary-master, database_url: "postgresql://u:sk-canary-db@h/d"}
guardrails: [{guardrail_name: x}]
made_up_section: {a: sk-canary-section}
"""
ENVIRON = {"OPENAI_API_KEY": "sk-canary-environ", "TOKEN": "canary-token"}


def _plan(text: str, environ: dict[str, str] | None = None) -> Plan:
    return plan_of(parse(text.encode()), environ=environ or {}, facts=FACTS)


def _said(plan: Plan) -> dict[str, Outcome]:
    return {line.path: line.outcome for line in plan.report.lines}


def test_a_whole_config_becomes_providers_configurations_and_aliases() -> None:
    plan = _plan(FULL, ENVIRON)
    shown = [
        (p.name, p.kind, p.base_url, p.key_name, p.key.reveal() if p.key else None, dict(p.timeouts))
        for p in plan.providers
    ]
    assert shown == [
        ("openai", "openai", "", "OPENAI_API_KEY", "sk-canary-environ", {"total": 30, "first_token": 5, "idle": 5}),
        ("azure", "azure", "https://mine.openai.azure.com", "default", "sk-canary-azure", {}),
        ("hosted_vllm", "vllm", "http://10.0.0.5:8000/v1", "vllm-eu", "sk-canary-credential", {}),
        ("anthropic", "anthropic", "", "INNER_KEY", "sk-canary-inner", {}),
    ]
    headers = {name: value.reveal() for name, value in plan.providers[0].headers.items()}
    assert headers == {"openai-organization": "org-canary", "x-team": "search", "x-token": "canary-token"}
    assert plan.providers[1].paths["chat"] == "/openai/deployments/{model}/chat/completions?api-version=2024-10-21"
    assert [c.name for c in plan.configurations] == ["gpt-4o", "gpt-4o-2", "local"]
    assert plan.configurations[0].body == {
        "name": "gpt-4o",
        "provider": "openai",
        "upstream_model": "gpt-4o",
        "default_parameters": {"temperature": 0.2, "max_tokens": 512, "stop": ["END"], "seed": 7},
        "adapts_parameters": True,
        "tags": {"paid": "true", "team": "search"},
        "requests_per_minute": 60,
        "tokens_per_minute": 100_000,
        "context_window": 128_000,
        "max_output_tokens": 16_384,
        "is_enabled": True,
    }
    assert plan.aliases == [
        PlannedAlias("old", "local"),
        PlannedAlias("best", "gpt-4o"),
        PlannedAlias("hidden", "local"),
    ]


def test_every_key_of_the_file_is_in_the_report_and_no_value_that_may_be_secret() -> None:
    plan = _plan(FULL, ENVIRON)
    said = _said(plan)
    config = parse(FULL.encode())
    silent = [path for path in _paths(config) if not any(_covers(line, path) for line in said)]
    assert silent == []
    assert "canary" not in repr(plan.report.lines)
    assert "canary" not in repr(plan)


def _covers(line: str, path: str) -> bool:
    """A line speaks for what is below its key, and a table is spoken for by lines of its keys."""
    return path == line or path.startswith((f"{line}.", f"{line}[")) or line.startswith((f"{path}.", f"{path}["))


def _paths(config: dict[str, Any]) -> Iterator[str]:
    for section, value in config.items():
        yield section
        if isinstance(value, dict):
            yield from (f"{section}.{key}" for key, _ in _items(cast("object", value)))
    for i, entry in enumerate(config["model_list"]):
        for key, value in entry.items():
            yield f"model_list[{i}].{key}"
            yield from (f"model_list[{i}].{key}.{inner}" for inner, _ in _items(value))


def test_what_is_not_there_yet_is_said_with_what_there_is_instead() -> None:
    plan = _plan(FULL, ENVIRON)
    lines = {line.path: line for line in plan.report.lines}
    for path, words in {
        "model_list[0].litellm_params.max_budget": "budgets are only reported for now",
        "model_list[0].litellm_params.budget_duration": "taken over later",
        "model_list[0].litellm_params.input_cost_per_token": "LLM_MANAGER_USAGE_PRICE_FILES",
        "model_list[0].litellm_params.made_up": "unknown",
        "model_list[4]": "Amazon Bedrock",
        "model_list[5]": "names no provider",
        "litellm_settings.max_budget": "budgets",
        "litellm_settings.cache": "not cached",
        "router_settings.fallbacks": "issue 17",
        "router_settings.model_group_alias.lost": "none of the configurations",
        "router_settings.model_group_alias.gpt-4o": "has the name",
        "general_settings.master_key": "keys create",
        "general_settings.database_url": "database is not read",
        "environment_variables.REDIS_HOST": "set it",
        "guardrails": "guardrails",
        "made_up_section": "unknown",
    }.items():
        assert lines[path].outcome is Outcome.NOT_TAKEN_OVER, path
        assert words in lines[path].what, path
    assert "issue 17" in lines["model_list[1].model_name"].what
    assert lines["model_list[1].model_name"].outcome is Outcome.DIFFERS
    assert lines["model_list[3].model_name"].outcome is Outcome.TAKEN_OVER


def test_second_names_avoid_those_that_the_file_gives_itself() -> None:
    one = "{{model_name: {}, litellm_params: {{model: openai/gpt-4o, api_key: k}}}}"
    plan = _plan("model_list: [" + ", ".join(one.format(n) for n in ("a", "a", "a-2", "a")) + "]")
    assert [c.name for c in plan.configurations] == ["a", "a-3", "a-2", "a-4"]
    assert [p.name for p in plan.providers] == ["openai"]


def test_equal_endpoints_are_one_provider_and_others_are_numbered() -> None:
    plan = _plan(
        """
model_list:
  - {model_name: a, litellm_params: {model: groq/x, api_key: os.environ/ONE}}
  - {model_name: b, litellm_params: {model: groq/y, api_key: os.environ/TWO}}
  - {model_name: c, litellm_params: {model: groq/z, api_key: os.environ/ONE}}
  - {model_name: d, litellm_params: {model: groq/z, api_key: os.environ/ONE, timeout: 9}}
"""
    )
    assert [c.provider for c in plan.configurations] == ["groq", "groq-2", "groq", "groq-3"]
    assert _said(plan)["model_list[0].litellm_params.api_key"] is Outcome.NOT_TAKEN_OVER


def test_the_key_of_a_variable_that_the_file_does_not_name_goes_to_no_other_host() -> None:
    text = "model_list: [{model_name: a, litellm_params: {model: %s/x, api_base: 'http://127.0.0.1:9/v1'}}]"
    environ = {"OPENAI_API_KEY": "sk-canary", "GROQ_API_KEY": "sk-canary"}
    for prefix, kind in (("openai", "custom"), ("groq", "groq")):
        (provider,) = _plan(text % prefix, environ).providers
        assert (provider.kind, provider.base_url, provider.key) == (kind, "http://127.0.0.1:9/v1", None)


@pytest.mark.parametrize(
    "base_url", ["ftp://h", "https://u:sk-canary@h/v1", "https://h/v1?key=sk-canary", "http://[", "x"]
)
def test_an_address_that_cannot_be_used_is_reported_and_not_shown(base_url: str) -> None:
    plan = _plan(f"model_list: [{{model_name: a, litellm_params: {{model: openai/x, api_base: '{base_url}'}}}}]")
    assert plan.configurations == []
    assert "api_base cannot be used" in plan.report.lines[0].what
    assert "canary" not in repr(plan.report.lines)


@pytest.mark.parametrize(
    ("kind", "given", "version", "expected"),
    [
        ("openai", "https://eu.api.openai.com/v1/", "", "https://eu.api.openai.com/v1"),
        ("custom", "http://h/v1/chat/completions", "", "http://h/v1"),
        ("anthropic", "https://h/v1/messages", "", "https://h"),
        ("cohere", "https://api.cohere.com/v2/chat", "", "https://api.cohere.com"),
        ("gemini", "https://h/v1beta", "", "https://h"),
        ("ollama", "http://h:11434/api/generate", "", "http://h:11434"),
        ("azure", "https://r.openai.azure.com/openai/v1", "", "https://r.openai.azure.com/openai/v1"),
        ("azure", "https://r.openai.azure.com", "preview", "https://r.openai.azure.com/openai/v1"),
    ],
)
def test_addresses_lose_what_our_kinds_add_themselves(kind: str, given: str, version: str, expected: str) -> None:
    found = address_of_azure(given, api_version=version) if kind == "azure" else address_of(kind, given)
    assert found == Address(expected)


def test_a_deployment_of_azure_in_the_address_stays_in_the_paths() -> None:
    given = "https://r.azure.com/openai/deployments/d1/chat/completions"
    found = address_of_azure(given, api_version="2024-10-21")
    assert found.base_url == "https://r.azure.com"
    assert found.paths["chat"] == "/openai/deployments/d1/chat/completions?api-version=2024-10-21"


@pytest.mark.parametrize(
    ("model", "stated", "expected"),
    [
        ("openai/gpt-4o", "", Meant("openai", "gpt-4o")),
        ("gpt-4o", "", Meant("openai", "gpt-4o")),
        ("claude-sonnet-5", "", Meant("anthropic", "claude-sonnet-5")),
        ("nobody", "", Meant("", "nobody")),
        ("openrouter/meta/llama", "", Meant("openrouter", "meta/llama")),
        ("meta/llama", "custom_openai", Meant("custom_openai", "meta/llama")),
        ("azure/responses/gpt-5", "", Meant("azure", "gpt-5", "responses/")),
        ("*", "", Meant("openai", "*")),
    ],
)
def test_models_are_read_as_litellm_reads_them(model: str, stated: str, expected: Meant) -> None:
    assert meant(model, stated) == expected


def test_every_prefix_has_a_kind_that_there_is_or_a_reason() -> None:
    assert {row.kind for row in PREFIXES.values() if row.kind} <= FACTS.keys()
    assert [name for name, row in PREFIXES.items() if bool(row.kind) is bool(row.why)] == []
    homeless = {kind for kind, facts in FACTS.items() if facts.transport == "http" and not facts.base_url}
    assert homeless & {row.kind for row in PREFIXES.values()} <= _WITHOUT_ADDRESS
    assert {kind for kind in _WITHOUT_ADDRESS if FACTS[kind].base_url} == set()


def test_parameters_that_the_gateway_checks_are_all_known() -> None:
    from llm_manager.gateway.ingress.openai.chat_request import ChatParameters

    names = {field.encode_name for field in msgspec.structs.fields(ChatParameters)}
    each_call_says = {"model", "messages", "stream", "stream_options", "user", "metadata", "safety_identifier"}
    assert names - each_call_says <= PARAMETERS


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("model_list: 3", "model_list"),
        ("model_list: [3]", "model_list[0]"),
        ("model_list: [{litellm_params: {}}]", "model_list[0].model_name"),
        ("model_list: [{model_name: a, litellm_params: {model: [x]}}]", "model_list[0].litellm_params.model"),
        (
            "model_list: [{model_name: a, litellm_params: {model: gpt-4o, rpm: many}}]",
            "model_list[0].litellm_params.rpm",
        ),
        (
            "model_list: [{model_name: a, litellm_params: {model: gpt-4o, api_key: 1}}]",
            "model_list[0].litellm_params.api_key",
        ),
        (
            "model_list: [{model_name: a, litellm_params: {model: gpt-4o, tags: x}}]",
            "model_list[0].litellm_params.tags",
        ),
        ("litellm_settings: []\nmodel_list: []", "litellm_settings"),
        ("router_settings: {model_group_alias: {a: 3}}", "router_settings.model_group_alias.a"),
        ("environment_variables: {a: [1]}", "environment_variables.a"),
    ],
)
def test_a_wrong_type_is_refused_with_its_place(text: str, path: str) -> None:
    with pytest.raises(ImportRefused) as caught:
        _plan(text)
    assert str(caught.value).startswith(f"{path}: ")


def test_no_value_at_any_place_raises_anything_but_the_clear_error() -> None:
    values: list[Any] = [None, True, -1, 0, 3.5, "", "x", "*", "os.environ/NONE", "os.environ/", [], [[]], {}, {"": ""}]
    values += [{"model": []}, ["a", 1], "a" * 5_000, "\x00", "http://[", 10**15, {"x": {"y": None}}, "openai/", "/"]
    rng, refusals = random.Random(12), list[str]()
    for path in list(_leaves(parse(FULL.encode()), ())):
        for value in rng.sample(values, 9):
            config = parse(FULL.encode())
            _set(config, path, value)
            try:
                plan = plan_of(config, environ=ENVIRON, facts=FACTS)
            except ImportRefused as error:
                refusals.append(str(error))
            else:
                msgspec.json.encode([plan.report.as_json(), [dict(c.body) for c in plan.configurations]])
    assert len(refusals) > 100
    assert [refusal for refusal in refusals if "canary" in refusal] == []


def _leaves(value: object, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    for key, item in _items(value):
        yield (*path, key)
        yield from _leaves(item, (*path, key))


def _items(value: object) -> list[tuple[Any, Any]]:
    if isinstance(value, dict):
        return list(cast("dict[str, Any]", value).items())
    return list(enumerate(cast("list[Any]", value))) if isinstance(value, list) else []


def _set(config: Any, path: tuple[Any, ...], value: Any) -> None:
    for key in path[:-1]:
        config = config[key]
    config[path[-1]] = value
