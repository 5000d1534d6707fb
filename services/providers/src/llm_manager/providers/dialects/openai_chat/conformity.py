"""Brings a body in OpenAI's dialect into the words of a provider that takes fewer of them.

OpenAI's clients send answers back whole, with what only some providers know, and providers with closed schemas refuse
the whole conversation for it: Mistral with 422 (`extra_forbidden` at `messages[].assistant.reasoning_content`,
charmbracelet/crush issue 1590; at `messages[].user.name`, Gage-Technologies/mistral-go pull 2), Groq with 400
(`property 'reasoning_content' is unsupported`, janhq/jan issue 8136); all read on 2026-11-29.

What a provider does differently stands in its facts. `unsupported` may hold: `name` and `tool_name` (who speaks), the
role `developer`, of an assistant's turn `refusal`, `reasoning_content` and the like, `custom_tools` (those that take
any text) and `allowed_tools`. `renamed` may hold: `file` (what a part with a document is called), `tool_call_id` (the
form of the ids of calls), `assistant_last` (the field that lets the last turn be gone on with), `user_after_tool` (what
the assistant is made to say in between, where a user may not speak right behind a tool) and `no_parameters` (the type
of parameters that must be said although there are none).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any  # JSON values

import msgspec

from llm_manager.core.facts import Facts
from llm_manager.kit.lenient_json import LenientDecoder
from llm_manager.providers.dialects.json_values import Json, table, tables
from llm_manager.providers.dialects.pointers import EXACT_DECODER, raw_table
from llm_manager.providers.dialects.policy import Policy

# What answers carry and the next turn can do without: thoughts go back to those providers alone that ask for them.
_CARRIED = (
    "reasoning_content", "reasoning", "annotations", "parsed", "provider_blocks", "content_parts", "executed_tools",
)  # fmt: skip
# What answers carry and is mostly null; what is not null is the client's, and the provider answers for itself.
_EMPTY = ("audio", "function_call")
# Null means in OpenAI's dialect that nothing is said, and has no place in closed schemas here (mistralai 3.7,
# chatcompletionrequest.py: the only parameters of OpenAI that may be left out and may not be null).
_NEVER_NULL = ("tool_choice", "response_format", "parallel_tool_calls", "prediction")
_IN_BODIES = (
    "name", "tool_name", "developer", "refusal", "custom_tools", "allowed_tools", "safety_identifier", *_CARRIED,
)  # fmt: skip
# What stands in a body where a word of the facts is not what stands there itself.
_MARKERS = {"tool_name": '"name"', "custom_tools": '"custom"'}
_NAMES = ("file", "tool_call_id", "assistant_last", "user_after_tool", "no_parameters")
# The type of such a tool in OpenAI's words, which is no kind of provider.
_TAKES_ANY_TEXT = "custom"
_OF_FILES = frozenset({"file_id", "file_data", "filename"})
# Who asked stands in the ledger, as with `user`: the answer is the same one.
_IDENTIFIER = "safety_identifier"
_NINE = re.compile("[a-zA-Z0-9]{9}")
_RAWS = LenientDecoder(list[msgspec.Raw])
_NO_PARAMETERS: Json = {"type": "object", "properties": {}}

Fields = dict[str, object]


def concerns(facts: Facts, body: bytes) -> bool:
    """Return whether a body may hold what the provider of these facts has other words for: most hold none of it."""
    parameters = facts.parameters
    if not parameters.renamed.keys().isdisjoint(_NAMES):
        return True
    words = set(_IN_BODIES).intersection(parameters.unsupported)
    return bool(words) and (b"null" in body or any(_MARKERS.get(word, f'"{word}"').encode() in body for word in words))


def conform(facts: Facts, fields: Json, policy: Policy) -> None:
    """Rewrite messages, tools and their choice in place; what has no form that is known stays for the provider.

    Raises:
        UnsupportedParameter: a tool takes any text, the provider calls functions only, and the policy refuses.
    """
    parameters = facts.parameters
    if _IDENTIFIER in parameters.unsupported and _plain(fields.pop(_IDENTIFIER, None)) is not None:
        policy.left_out(_IDENTIFIER)
    for name in _NEVER_NULL:
        if name in fields and _plain(fields[name]) is None:
            del fields[name]
    if (messages := _raws(fields.get("messages"))) is not None:
        fields["messages"] = _Messages(facts, policy).written(messages)
    if (tools := _raws(fields.get("tools"))) is not None:
        fields["tools"] = tools = _tools(facts, tools, policy)
        if "allowed_tools" in parameters.unsupported:
            _show_allowed(fields, tools)


class _Messages:
    def __init__(self, facts: Facts, policy: Policy) -> None:
        self._unsupported = frozenset(facts.parameters.unsupported)
        self._renamed = facts.parameters.renamed
        self._policy = policy

    def written(self, messages: Sequence[msgspec.Raw]) -> list[Fields | msgspec.Raw]:
        """Return the messages of a conversation."""
        written: list[Fields | msgspec.Raw] = []
        bridge, before = self._renamed.get("user_after_tool"), None
        for number, raw in enumerate(messages, 1):
            role = _role_of(raw) if bridge else None
            if (before, role) == ("tool", "user"):
                written.append({"role": "assistant", "content": bridge})
                self._policy.added(f"an assistant's turn of {bridge!r} between a tool and a user")
            written.append(self._message(raw, is_last=number == len(messages)))
            before = role
        return written

    def _message(self, raw: msgspec.Raw, *, is_last: bool) -> Fields | msgspec.Raw:
        try:
            message: Fields = {**raw_table(raw)}
        except msgspec.DecodeError:
            return raw
        role = _plain(message.get("role"))
        if role == "developer" and "developer" in self._unsupported:
            message["role"] = "system"
        self._leave_out_name(message, role)
        if role == "assistant":
            self._trim(message)
        if (parts := _raws(message.get("content"))) is not None:
            message["content"] = [self._part(part) for part in parts]
        if "tool_call_id" in self._renamed:
            _shorten_ids(message)
        name = self._renamed.get("assistant_last")
        if is_last and name and role == "assistant" and not _plain(message.get("tool_calls")):
            message.setdefault(name, True)
        return message

    def _leave_out_name(self, message: Fields, role: object) -> None:
        """Leave out who speaks; a function is known by its name alone, and a tool by the id of its call too."""
        word = "tool_name" if role == "tool" else "name"
        if role != "function" and word in self._unsupported and _plain(message.pop("name", None)) and word == "name":
            self._policy.left_out(word)

    def _trim(self, message: Fields) -> None:
        """Take out of an assistant's turn what its answer carried, and say refusals as text."""
        for name in self._unsupported.intersection(_CARRIED):
            message.pop(name, None)
        for name in self._unsupported.intersection(_EMPTY):
            if name in message and _plain(message[name]) is None:
                del message[name]
        if "refusal" not in self._unsupported or not (refusal := _plain(message.pop("refusal", None))):
            return
        content = message.get("content")
        if (parts := _raws(content)) is not None:
            message["content"] = msgspec.Raw(msgspec.json.encode([*parts, {"type": "text", "text": refusal}]))
        else:
            message["content"] = f"{_plain(content) or ''}{refusal}"

    def _part(self, raw: msgspec.Raw) -> Fields | msgspec.Raw:
        part = table(_plain(raw)) if b'"refusal"' in bytes(raw) or b'"file"' in bytes(raw) else {}
        file, name = table(part.get("file")), self._renamed.get("file")
        if part.get("type") == "refusal" and "refusal" in self._unsupported:
            return {"type": "text", "text": part.get("refusal")}
        is_known = file.get("file_id") or file.get("file_data")
        if part.get("type") != "file" or name is None or not is_known or file.keys() - _OF_FILES:
            return raw
        rest = {field: value for field, value in raw_table(raw).items() if field not in ("type", "file")}
        if file.get("file_id"):
            return {"type": "file", "file_id": file["file_id"], **rest}
        title: Fields = {"document_name": file["filename"]} if file.get("filename") else {}
        return {"type": name, name: file["file_data"], **title, **rest}


def _role_of(raw: msgspec.Raw) -> object:
    try:
        return _plain(raw_table(raw).get("role"))
    except msgspec.DecodeError:
        return None


def _shorten_ids(message: Fields) -> None:
    """Bring the ids of other providers' calls into the one form that is taken; a call and its result stay a pair.

    "Tool call id was turn1_0 but must be a-z, A-Z, 0-9, with a length of 9" (nearai/ironclaw issue 1241, 400, code
    3280; anomalyco/opencode issue 1680; both read on 2026-11-29).
    """
    if isinstance(said := _plain(message.get("tool_call_id")), str):
        message["tool_call_id"] = _nine(said)
    if (calls := _raws(message.get("tool_calls"))) is None:
        return
    written: list[Fields | msgspec.Raw] = []
    for raw in calls:
        said = table(_plain(raw)).get("id")
        written.append({**raw_table(raw), "id": _nine(said)} if isinstance(said, str) else raw)
    message["tool_calls"] = written


def _nine(call_id: str) -> str:
    return call_id if _NINE.fullmatch(call_id) else hashlib.sha256(call_id.encode()).hexdigest()[:9]


def _tools(facts: Facts, tools: Sequence[msgspec.Raw], policy: Policy) -> list[Fields | msgspec.Raw]:
    written: list[Fields | msgspec.Raw] = []
    for number, raw in enumerate(tools):
        tool = table(_plain(raw))
        if tool.get("type") == _TAKES_ANY_TEXT and "custom_tools" in facts.parameters.unsupported:
            policy.unsupported(facts, f"tools[{number}].type", hint="it calls functions only; describe it as one")
            continue
        is_bare = "function" in tool and table(tool["function"]).get("parameters") is None
        if is_bare and "no_parameters" in facts.parameters.renamed:
            fields = raw_table(raw)
            written.append({**fields, "function": {**raw_table(fields["function"]), "parameters": _NO_PARAMETERS}})
        else:
            written.append(raw)
    return written


def _show_allowed(fields: Json, tools: Sequence[Fields | msgspec.Raw]) -> None:
    """Show only the tools that may be called, where there is no list of them."""
    choice = table(_plain(fields.get("tool_choice")))
    allowed = table(choice.get("allowed_tools"))
    if choice.get("type") != "allowed_tools" or not isinstance(allowed.get("mode"), str):
        return
    names = [table(tool.get("function")).get("name") for tool in tables(allowed.get("tools"))]
    fields["tools"] = [tool for tool in tools if _name_of(tool) in names]
    fields["tool_choice"] = allowed["mode"]


def _name_of(tool: Fields | msgspec.Raw) -> object:
    return table(table(_plain(msgspec.Raw(msgspec.json.encode(tool)))).get("function")).get("name")


def _plain(value: object) -> Any:
    return EXACT_DECODER.decode(bytes(value)) if isinstance(value, msgspec.Raw) else value


def _raws(value: object) -> list[msgspec.Raw] | None:
    """Return the items of a list as they stand, None for anything else."""
    if isinstance(value, msgspec.Raw) and bytes(value).lstrip().startswith(b"["):
        return _RAWS.decode(value)
    return None
