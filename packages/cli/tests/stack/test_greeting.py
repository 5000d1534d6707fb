from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from llm_manager.cli.stack.greeting import Greeting, does_persist
from llm_manager.cli.stack.origins import ProviderOrigin
from llm_manager.cli.stack.state import ChildState, RunState

_STATE = RunState(
    phase="ready",
    pid=10,
    started="boot:1",
    base_url="http://127.0.0.1:8080/v1",
    grpc="127.0.0.1:8081",
    nats_url="nats://127.0.0.1:21000",
    children={"gateway": ChildState(pid=11, started="boot:2", restarts=0, is_ready=True)},
)
_GREETING = Greeting(_STATE, Path("/data"), api_key="lm_live_x", admin_password="secret", persists=True)


def test_a_program_gets_everything_that_it_needs() -> None:
    assert json.loads(json.dumps(_GREETING.as_json())) == {
        "base_url": "http://127.0.0.1:8080/v1",
        "api_key": "lm_live_x",
        "admin": {"user": "admin", "password": "secret"},
        "grpc": "127.0.0.1:8081",
        "nats": "nats://127.0.0.1:21000",
        "data_dir": "/data",
        "persists": True,
        "already_running": False,
        "changed_variables": [],
        "not_ready": {},
        "providers": None,
        "pids": {"supervisor": 10, "gateway": 11},
    }


def test_a_person_gets_address_key_password_directory_and_snippets() -> None:
    text = _GREETING.as_text(is_detached=True)
    wanted = ["http://127.0.0.1:8080/v1", "lm_live_x", "'admin', password 'secret'", "/data", "State persists"]
    wanted += ["curl http://127.0.0.1:8080/v1/chat/completions", "from openai import OpenAI", "make down"]
    assert [part for part in wanted if part not in text] == []


def test_the_python_snippet_is_python() -> None:
    text = _GREETING.as_text(is_detached=False)
    snippet = text[text.index("from openai") : text.index("Or: ")]
    assert compile(snippet, "snippet", "exec").co_names[:2] == ("openai", "OpenAI")


def test_a_directory_in_memory_is_said_not_to_persist(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text("disk / ext4 rw 0 0\ntmpfs /run tmpfs rw 0 0\ndisk /run/my\\040disk ext4 rw 0 0\n")
    folders = [Path("/srv/x"), Path("/run/x"), Path("/run/my disk/x")]
    assert [does_persist(folder, mounts=mounts) for folder in folders] == [True, False, True]
    assert does_persist(Path("/x"), mounts=tmp_path / "none")


def test_providers_are_greeted_with_their_origin_and_a_changed_variable_with_what_to_do() -> None:
    providers = (
        ProviderOrigin("echo", "built-in", (), (), 3),
        ProviderOrigin("groq", "kept", (), ("GROQ_API_KEY",), 9),
        ProviderOrigin("openai", "environment", ("OPENAI_API_KEY",), ("OPENAI_BASE_URL",), 12),
    )
    greeting = replace(_GREETING, providers=providers, changed_variables=("MISTRAL_API_KEY",))
    text = greeting.as_text(is_detached=True)
    wanted = ["echo (3 models; built in", "groq (9 models; kept from before: GROQ_API_KEY)", "providers remove NAME"]
    wanted += ["from the environment now: OPENAI_API_KEY; kept from before: OPENAI_BASE_URL", "over: MISTRAL_API_KEY."]
    assert [part for part in wanted if part not in text] == []
    assert [item["origin"] for item in greeting.as_json()["providers"]] == ["built-in", "kept", "environment"]


def test_a_process_that_cannot_work_is_named_with_its_reason() -> None:
    text = replace(_GREETING, not_ready={"usage": "the disk is full"}).as_text(is_detached=True)

    assert "usage is not ready: the disk is full\n'llm-manager doctor' looks for the cause." in text
