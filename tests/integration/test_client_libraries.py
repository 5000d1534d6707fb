"""The programs in examples/clients: the ecosystem's own clients, unmodified, against the running product."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from chats_only import write_chats_only

from llm_manager.testing.plausible_provider import PlausibleProvider, plausible_provider
from llm_manager.testing.stack import Stack, clean_environment, running_stack

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "clients"
PYTHON = ROOT / ".venv-examples" / "bin" / "python"
MODEL = "openai/gpt-4o-mini"


@pytest.fixture(scope="module")
def provider() -> Iterator[PlausibleProvider]:
    with plausible_provider() as running:
        yield running


@pytest.fixture(scope="module")
def environment(provider: PlausibleProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Variables for the programs, while the product runs."""
    keys = {"OPENAI_API_KEY": "sk-plausible", "OPENAI_BASE_URL": provider.base_url}
    folder = tmp_path_factory.mktemp("clients")
    write_chats_only(folder, ["openai"])
    with running_stack(folder, environment=keys) as stack:
        yield clean_environment(_where(stack))


def _where(stack: Stack) -> dict[str, str]:
    return {
        "LLM_MANAGER_URL": stack.origin,
        "LLM_MANAGER_API_KEY": stack.api_key,
        "LLM_MANAGER_MODEL": MODEL,
        "LLM_MANAGER_EMBEDDING_MODEL": "openai/text-embedding-3-small",
        "LANGSMITH_TRACING": "false",
        "DO_NOT_TRACK": "1",
    }


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter of the examples' own environment, made when it is missing or old."""
    made = subprocess.run(
        [sys.executable, "-I", str(ROOT / "scripts" / "install_examples.py")],
        text=True,
        capture_output=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return PYTHON


def _run(command: list[str], environment: dict[str, str], *, seconds: float = 120) -> str:
    done = subprocess.run(
        command, cwd=FOLDER, env=environment, capture_output=True, text=True, timeout=seconds, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-4000:]}"
    return done.stdout


PROGRAMS = sorted(
    path.name for path in FOLDER.glob("*.py") if path.name not in ("settings.py",) and not path.name.startswith("test_")
)


@pytest.mark.requirement("S17", "B8", "L-5")
@pytest.mark.parametrize("program", PROGRAMS)
def test_python_program_runs(program: str, python: Path, environment: dict[str, str]) -> None:
    said = _run([str(python), program], environment)
    assert said.count(":") >= 2, said


@pytest.mark.requirement("B8")
def test_standard_suites_of_langchain_pass(python: Path, environment: dict[str, str]) -> None:
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header", "test_langchain_standard.py"]
    said = _run(command, environment, seconds=300)
    assert " passed" in said
    assert " failed" not in said


@pytest.fixture(scope="module")
def node() -> None:
    """The packages of the programs for Node, as package-lock.json pins them."""
    if shutil.which("npm") is None:
        pytest.skip("Node.js is not installed: npm is not on the PATH")
    command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    made = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert made.returncode == 0, made.stdout + made.stderr


@pytest.mark.requirement("S17", "B8")
@pytest.mark.usefixtures("node")
@pytest.mark.parametrize("program", sorted(path.name for path in FOLDER.glob("*.mjs")))
def test_node_program_runs(program: str, environment: dict[str, str]) -> None:
    assert _run(["node", program], environment)
