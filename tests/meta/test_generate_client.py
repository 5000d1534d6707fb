"""The generator of the client's admin API, on documents made for it."""

from __future__ import annotations

import ast
import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tree import ROOT

SCRIPT = ROOT / "scripts" / "generate_client.py"
generator: dict[str, Any] = runpy.run_path(str(SCRIPT))


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _operation(schema: Any = None, *, status: str = "200", **more: Any) -> dict[str, Any]:
    content = {} if schema is None else {"content": {"application/json": {"schema": schema}}}
    return {"responses": {status: {"description": "", **content}}, **more}


def _path(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


STRING, TEXT_OR_NULL = {"type": "string"}, {"anyOf": [{"type": "string"}, {"type": "null"}]}
SCHEMAS: dict[str, Any] = {
    "Tree": {
        "type": "object",
        "description": "A tree.",
        "required": ["name", "children", "mark", "value"],
        "properties": {
            "name": STRING,
            "children": {"type": "array", "items": _ref("Tree")},
            "colour": _ref("Colour"),
            "mark": {**TEXT_OR_NULL, "description": "What stands on it."},
            "value": _ref("Value"),
            "size": {"type": ["integer", "null"]},
            "facts": {"type": "object", "additionalProperties": {"type": "number"}},
            "place": {"type": "object", "required": ["x"], "properties": {"x": {"type": "integer"}}},
            "anything": {},
        },
    },
    # JSON, said with itself
    "Value": {"anyOf": [STRING, {"type": "array", "items": _ref("Value")}, {"type": "null"}]},
    "Colour": {"type": "string", "enum": ["red", "green"], "description": "What it looks like."},
    "Range": {"type": "object", "required": ["from"], "properties": {"from": STRING, "to": STRING}},
    "Unused": {"type": "object", "properties": {"x": STRING}},
}
DOCUMENT: dict[str, Any] = {
    "components": {"schemas": SCHEMAS},
    "paths": {
        "/v1/models": {"get": _operation(STRING)},
        "/api/v1/ask": {"post": _operation(STRING, security=[{"ApiKey": []}])},
        "/api/v1/trees": {
            "get": _operation({"type": "array", "items": _ref("Tree")}),
            "post": _operation(
                _ref("Tree"),
                status="201",
                requestBody={"required": True, "content": {"application/json": {"schema": _ref("Tree")}}},
            ),
        },
        "/api/v1/trees/{tree}": {"delete": _operation(status="204", parameters=_path("tree"))},
        "/api/v1/trees/{tree}/cut-down": {"post": _operation(_ref("Range"), parameters=_path("tree"))},
        "/api/v1/trees/{tree}/nests": {"post": _operation(_ref("Tree"), parameters=_path("tree"))},
        "/api/v1/trees/{tree}/nests/{nest_id}": {"put": _operation(_ref("Tree"), parameters=_path("tree", "nest_id"))},
    },
}


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return generator["sources"](DOCUMENT)


def _flat(text: str) -> str:
    return " ".join(text.split())


def _methods(text: str) -> dict[str, list[str]]:
    classes = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {one.name: [f.name for f in one.body if isinstance(f, kinds) and f.name[0] != "_"] for one in classes}


def test_methods_are_named_by_rule_and_inference_is_left_out(made: dict[str, str]) -> None:
    assert sorted(made) == ["__init__.py", "models.py", "trees.py"]
    names = ["list", "create", "delete", "cut_down", "create_nest", "replace_nest"]
    assert _methods(made["trees.py"]) == {"Trees": names, "AsyncTrees": names}


def test_schemas_are_types(made: dict[str, str]) -> None:
    models = _flat(made["models.py"])
    assert 'Colour: TypeAlias = Literal["red", "green"] """What it looks like."""' in models
    assert 'class Tree(TypedDict): """A tree.""" name: str children: list[Tree]' in models
    assert "colour: NotRequired[Colour]" in models
    assert 'mark: str | None """What stands on it."""' in models
    assert "value: str | list[Json] | None" in models
    assert "size: NotRequired[int | None]" in models
    assert "facts: NotRequired[dict[str, float]]" in models
    assert "place: NotRequired[TreePlace] anything: NotRequired[Json]" in models
    assert "class TreePlace(TypedDict):" in models
    assert 'Range = TypedDict("Range", {"from": "str", "to": "NotRequired[str]"})' in models
    assert "Unused" not in models


def test_paths_bodies_and_answers_are_those_of_the_document(made: dict[str, str]) -> None:
    trees = _flat(made["trees.py"])
    assert 'def list(self) -> builtins.list[Tree]: """GET /api/v1/trees."""' in trees
    assert "name: str, children: Sequence[Tree], mark: str | None, value: str | Sequence[Json] | None," in trees
    assert "colour: Colour | Unset = UNSET" in trees
    assert "size: int | Unset | None = UNSET, facts: Mapping[str, float] | Unset = UNSET" in trees
    assert 'self._transport.request("DELETE", f"/api/v1/trees/{quoted(tree)}")' in trees
    assert "def delete(self, tree: str) -> None:" in trees
    assert 'return self._transport.request("POST", f"/api/v1/trees/{quoted(tree)}/cut-down").body' in trees
    assert 'request("PUT", f"/api/v1/trees/{quoted(tree)}/nests/{quoted(nest_id)}")' in trees


def test_the_same_document_gives_the_same_files_that_the_linter_takes(made: dict[str, str], tmp_path: Path) -> None:
    assert generator["sources"](json.loads(json.dumps(DOCUMENT))) == made
    for name, text in made.items():
        (tmp_path / name).write_text(text)
    settings = ["--config", str(ROOT / "pyproject.toml"), "--ignore", "INP001,I001,UP013", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", *settings], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_two_operations_of_one_name_are_refused_by_their_paths() -> None:
    paths = {**DOCUMENT["paths"], "/api/v1/trees/{tree}/nests/{nest}/cut-down": {"post": _operation()}}
    with pytest.raises(ValueError, match=r"POST /api/v1/trees/\{tree\}/cut-down and POST .* be called trees.cut_down"):
        generator["sources"]({**DOCUMENT, "paths": paths})


def test_a_changed_document_is_found_and_what_is_no_more_is_taken_away(tmp_path: Path) -> None:
    document, folder = tmp_path / "openapi.json", tmp_path / "admin"
    command = [sys.executable, str(SCRIPT), "--document", str(document), "--folder", str(folder)]

    def run(*more: str) -> tuple[int, str]:
        done = subprocess.run([*command, *more], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    document.write_text(json.dumps(DOCUMENT))
    assert run() == (0, "")
    assert run("--check") == (0, "")
    changed = json.dumps(DOCUMENT).replace("/trees", "/plants").replace('"green"', '"blue"')
    document.write_text(changed)
    names = "__init__.py, models.py, plants.py, trees.py"
    said = ", ".join(f"client/admin/{name}" for name in names.split(", "))
    assert run("--check") == (1, f"Not what the OpenAPI document says: {said}. Run 'make docs'.\n")
    assert run() == (0, "")
    assert sorted(file.name for file in folder.iterdir()) == names.split(", ")[:3]
