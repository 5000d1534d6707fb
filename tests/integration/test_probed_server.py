"""A server of kind `custom` is asked once what it can do; what it lacks is refused, or done another way."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from llm_manager.testing.plausible_provider import PlausibleProvider, plausible_provider
from llm_manager.testing.stack import Stack, running_stack

_PATIENCE_SECONDS = 40.0
PICTURE = "data:image/png;base64,iVBORw0KGgo="


@dataclass
class Probed:
    folder: Path
    stack: Stack
    provider: PlausibleProvider

    def post(self, path: str, body: dict[str, Any]) -> httpx2.Response:
        with httpx2.Client(headers={"authorization": f"Bearer {self.stack.api_key}"}, timeout=30) as client:
            return client.post(f"{self.stack.base_url}{path}", json=body)


def profile_of(folder: Path) -> dict[str, Any] | None:
    with sqlite3.connect(f"file:{next(folder.rglob('control-plane.db'))}?mode=ro", uri=True) as database:
        found = database.execute("SELECT profile FROM providers WHERE name = 'custom'").fetchone()
    return None if found is None or found[0] is None else json.loads(found[0])


def wait_for_profile(folder: Path) -> dict[str, Any]:
    end = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < end:
        if (profile := profile_of(folder)) is not None:
            return profile
        time.sleep(0.2)
    raise AssertionError("no profile was stored")


def environment(provider: PlausibleProvider) -> dict[str, str]:
    return {"CUSTOM_BASE_URL": provider.base_url}


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> Generator[Probed]:
    folder = tmp_path_factory.mktemp("probed")
    with plausible_provider() as provider:
        provider.refuses = {"image_url": 500, "json_schema": 400}
        with running_stack(folder, environment=environment(provider)) as stack:
            yield Probed(folder, stack, provider)


@pytest.mark.requirement("S6")
def test_the_profile_says_what_the_server_did(probed: Probed) -> None:
    profile = wait_for_profile(probed.folder)
    assert profile["base_url"] == probed.provider.base_url
    assert set(profile["dialects"]) & {"openai_chat", "openai_responses"} == {"openai_chat"}
    abilities = set(profile["capabilities"]["plausible"])
    assert abilities >= {"streaming", "tools", "json_object", "seed", "several_choices"}
    assert not abilities & {"images", "json_schema", "logprobs"}


@pytest.mark.requirement("S6", "P-18")
def test_what_the_server_lacks_is_refused_before_it_is_asked(probed: Probed) -> None:
    wait_for_profile(probed.folder)
    asked = len(probed.provider.requests)
    content = [{"type": "image_url", "image_url": {"url": PICTURE}}]
    body = {"model": "custom/plausible", "messages": [{"role": "user", "content": content}]}
    answer = probed.post("/chat/completions", body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported_parameter")
    assert len(probed.provider.requests) == asked


@pytest.mark.requirement("B8")
def test_a_dialect_that_the_server_does_not_speak_is_translated(probed: Probed) -> None:
    wait_for_profile(probed.folder)
    answer = probed.post("/responses", {"model": "custom/plausible", "input": "Say hello.", "store": False})
    assert answer.status_code == 200, answer.text
    assert [item["type"] for item in answer.json()["output"]] == ["message"]


def test_it_is_asked_once(tmp_path: Path) -> None:
    with plausible_provider() as provider:
        with running_stack(tmp_path, environment=environment(provider)):
            first = wait_for_profile(tmp_path)
        asked = len(provider.requests)
        assert asked >= 8
        with running_stack(tmp_path, environment=environment(provider)) as stack:
            served = Probed(tmp_path, stack, provider)
            body = {"model": "custom/plausible", "messages": [{"role": "user", "content": "Hello"}]}
            assert served.post("/chat/completions", body).status_code == 200
            assert len(provider.requests) == asked + 1
            assert profile_of(tmp_path) == first
            assert "provider_probed" not in stack.log_of("gateway").split("service_starting")[-1]


def test_nothing_is_stored_of_a_server_that_is_overloaded(tmp_path: Path) -> None:
    with plausible_provider() as provider:
        provider.models = ["fail-429"]
        with running_stack(tmp_path, environment=environment(provider)) as stack:
            end = time.monotonic() + _PATIENCE_SECONDS
            while "provider_not_probed" not in stack.log_of("gateway") and time.monotonic() < end:
                time.sleep(0.2)
            assert "provider_not_probed" in stack.log_of("gateway")
            assert profile_of(tmp_path) is None
