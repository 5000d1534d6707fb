"""A config of LiteLLM in a running product: what it says arrives at the provider."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from llm_manager.testing.stack import running_stack
from llm_manager.testing.upstream import completion, fake_upstream

KEY, LITERAL, TOKEN = "sk-canary-variable-000001", "sk-canary-literal-000002", "canary-header-000003"
CONFIG = """
model_list:
  - model_name: helpful
    litellm_params:
      model: openai/served-model
      api_base: {url}/v1
      api_key: os.environ/UPSTREAM_KEY
      organization: org-7
      extra_headers: {{x-token: os.environ/UPSTREAM_TOKEN}}
      temperature: 0.25
      max_tokens: 17
      stop: [END]
      max_budget: 5
  - {{model_name: helpful, litellm_params: {{model: openai/other, api_base: {url}/v1, api_key: {literal}}}}}
  - {{model_name: "groq/*", litellm_params: {{model: "groq/*", api_key: os.environ/NOT_SET_ANYWHERE}}}}
router_settings: {{model_group_alias: {{best: helpful}}, num_retries: 2}}
general_settings: {{master_key: sk-canary-master}}
"""
ENVIRONMENT = {
    "UPSTREAM_KEY": KEY,
    "UPSTREAM_TOKEN": TOKEN,
    "LLM_MANAGER_GATEWAY_DETECT_LOCAL_PROVIDERS": "false",
    "LLM_MANAGER_GATEWAY_PROBE_PROVIDERS": "false",
}


def _chat(stack: Any, model: str) -> httpx2.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"authorization": f"Bearer {stack.api_key}"}
    return httpx2.post(f"{stack.base_url}/chat/completions", json=body, headers=headers, timeout=20)


@pytest.mark.requirement("B12")
async def test_an_imported_model_answers_with_its_parameters_headers_and_key(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    file = tmp_path / "config.yaml"
    async with fake_upstream(completion("Hello too", usage=usage)) as upstream:
        file.write_text(CONFIG.format(url=upstream.base_url, literal=LITERAL))
        with running_stack(tmp_path / "data", environment=ENVIRONMENT) as stack:

            async def run(*options: str) -> Any:
                return await asyncio.to_thread(stack.run, "import", "litellm", str(file), *options)

            dry = await run("--dry-run", "--json")
            first = await run("--json")
            again = await run("--json")
            shown = await run()
            said = [await asyncio.to_thread(_chat, stack, model) for model in ("helpful", "best", "helpful-2")]
            file.write_text(CONFIG.format(url=upstream.base_url, literal=LITERAL).replace("0.25", "0.75"))
            conflict = await run("--json")
            replaced = await run("--replace", "--json")
            await asyncio.to_thread(_chat, stack, "helpful")
    ran = [dry, first, again, shown, conflict, replaced]
    assert [(one.returncode, one.stderr if one.returncode else "") for one in ran[:4]] == [(0, "")] * 4
    _assert_reports(dry, first, again, shown)
    assert [answer.json()["choices"][0]["message"]["content"] for answer in said] == ["Hello too"] * 3
    _assert_arrived(upstream.requests)
    assert (conflict.returncode, replaced.returncode) == (1, 0)
    assert "--replace changes them" in conflict.stderr
    printed = "".join(one.stdout + one.stderr for one in ran)
    assert [secret for secret in (KEY, LITERAL, TOKEN, "sk-canary-master", "org-7") if secret in printed] == []


def _assert_reports(dry: Any, first: Any, again: Any, shown: Any) -> None:
    before, made = json.loads(dry.stdout), json.loads(first.stdout)
    assert (before["is_dry_run"], before["written"]) == (True, [])
    assert (before["keys"], before["counts"]) == (made["keys"], made["counts"])
    written = [(one["resource"], one["name"], one["outcome"]) for one in made["written"]]
    assert written == [
        ("provider", "openai-compatible", "made"),
        ("provider", "openai-compatible-2", "made"),
        ("provider", "groq", "made"),
        ("configuration", "helpful", "made"),
        ("configuration", "helpful-2", "made"),
        ("alias", "best", "made"),
    ]
    assert {one["outcome"] for one in json.loads(again.stdout)["written"]} == {"unchanged"}
    for word in ("Taken over (", "Differs (", "Not taken over (", "Written", "NOT_SET_ANYWHERE", "budgets"):
        assert word in shown.stdout


def _assert_arrived(requests: Any) -> None:
    chats = [request for request in requests if request.path == "/v1/chat/completions"]
    assert [request.headers["authorization"] for request in chats] == [
        *(f"Bearer {KEY}", f"Bearer {KEY}", f"Bearer {LITERAL}", f"Bearer {KEY}"),
    ]
    assert [request.json()["model"] for request in chats] == ["served-model", "served-model", "other", "served-model"]
    assert [request.json().get("temperature") for request in chats] == [0.25, 0.25, None, 0.75]
    body = chats[0].json()
    assert (body["max_tokens"], body["stop"]) == (17, ["END"])
    assert (chats[0].headers["openai-organization"], chats[0].headers["x-token"]) == ("org-7", TOKEN)
