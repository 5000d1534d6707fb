"""What the environment gave one start is there at the next, in the whole product."""

from __future__ import annotations

import json
from pathlib import Path

import httpx2

from llm_manager.testing.stack import Stack, running_stack

GIVEN = {"OPENAI_API_KEY": "sk-canary-kept-0001", "LLM_MANAGER_GATEWAY_DETECT_LOCAL_PROVIDERS": "false"}
LATER = {"LLM_MANAGER_GATEWAY_DETECT_LOCAL_PROVIDERS": "false"}


def _models(stack: Stack) -> set[str]:
    headers = {"authorization": f"Bearer {stack.api_key}"}
    answer = httpx2.get(f"{stack.base_url}/models", headers=headers, timeout=20)
    return {item["id"] for item in answer.json()["data"]}


def test_models_stay_when_the_next_up_lacks_the_variable_until_they_are_removed(tmp_path: Path) -> None:
    with running_stack(tmp_path, environment=GIVEN) as stack:
        before = _models(stack)
        stack.environment["OPENAI_API_KEY"] = "sk-canary-kept-0002"
        said = stack.run("up")
        assert "Not taken over: OPENAI_API_KEY." in said.stdout
        assert "from the environment now: OPENAI_API_KEY" in said.stdout
        refused = stack.run("providers", "remove", "openai")
        assert (refused.returncode, "still gives it" in refused.stderr) == (1, True)
    with running_stack(tmp_path, environment=LATER) as stack:
        assert _models(stack) == before
        assert "kept from before: OPENAI_API_KEY" in stack.run("up").stdout
        assert "kept from before: OPENAI_API_KEY" in stack.run("providers", "list").stdout
        listed = json.loads(stack.run("providers", "list", "--json").stdout)["data"]
        assert {item["name"]: item["origin"] for item in listed} == {"echo": "built-in", "openai": "kept"}
        assert stack.run("providers", "remove", "openai").returncode == 0
        left = _models(stack)
        assert left < before
        assert not any(name.startswith("gpt-") for name in left)
    leaked = [file for file in tmp_path.rglob("*") if file.is_file() and b"sk-canary-kept" in file.read_bytes()]
    assert leaked == []
