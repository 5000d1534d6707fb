from __future__ import annotations

import ast

from tree import ROOT, hand_written_python, relative, tracked

MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_POSITIONAL = 400, 60, 4
FORBIDDEN_NAMES = {"utils", "helpers", "common", "manager", "base"}


def test_hand_written_files_stay_under_400_lines() -> None:
    sizes = {relative(file): file.read_text().count("\n") for file in hand_written_python()}
    assert {name: size for name, size in sizes.items() if size > MAX_FILE_LINES} == {}


def test_functions_stay_under_60_lines_and_take_at_most_four_positional_parameters() -> None:
    long: list[str] = []
    for file in hand_written_python():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                where = f"{relative(file)}:{node.lineno} {node.name}"
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    long.append(f"{where} has {lines} lines")
                if not _overrides(node) and len(_positional(node)) > MAX_POSITIONAL and "tests" not in file.parts:
                    long.append(f"{where} takes {len(_positional(node))} positional parameters")
    assert long == []


def test_no_file_is_named_after_nothing() -> None:
    assert [relative(file) for file in tracked() if file.suffix == ".py" and file.stem in FORBIDDEN_NAMES] == []


def test_every_package_and_service_has_a_readme_and_types() -> None:
    missing: list[str] = []
    for folder in sorted([*ROOT.glob("packages/*/"), *ROOT.glob("services/*/")]):
        if (folder / "pyproject.toml").exists():
            name = folder.name.replace("-", "_")
            wanted = [folder / "README.md", folder / "src" / "llm_manager" / name / "py.typed"]
            missing += [relative(file) for file in wanted if not file.exists()]
    assert missing == []


def test_no_provider_is_compared_by_name() -> None:
    facts = ROOT / "packages" / "core" / "src" / "llm_manager" / "core" / "provider_facts"
    kinds = {file.stem for file in facts.glob("*.toml")}
    assert "openai" in kinds
    found: list[str] = []
    for file in hand_written_python():
        if {"tests", "testing", "scripts"} & set(file.relative_to(ROOT).parts):
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Compare):
                texts = {c.value for c in ast.walk(node) if isinstance(c, ast.Constant) and isinstance(c.value, str)}
                if texts & kinds:
                    found.append(f"{relative(file)}:{node.lineno} {ast.unparse(node)}")
    assert found == []


def _positional(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def _overrides(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    # what a library calls has the library's parameters
    return node.name == "settings_customise_sources"
