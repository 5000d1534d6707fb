"""Untrusted JSON into typed structs, with errors that name the field in the client's words."""

from __future__ import annotations

import re
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.kit.lenient_json import without_halves

T = TypeVar("T")

# Deeper than any JSON Schema seen in tools; far below the recursion limits of every parser on the way.
MAX_DEPTH = 100

# Longer names are nobody's, and every row, log line and label would carry them.
MAX_MODEL_CHARACTERS = 512
ModelName = Annotated[str, Meta(min_length=1, max_length=MAX_MODEL_CHARACTERS)]

# How an error begins that is about all of a body.
WHOLE = "The body: "
_WHERE = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"contains unknown field `(?P<name>.*)`$", re.DOTALL)
_MISSING = re.compile(r"missing required field `(?P<name>.*)`$", re.DOTALL)
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_NOT_BRACKETS = bytes(code for code in range(256) if code not in b"[]{}")
_OPENING = b"[{"


def decode(body: bytes, kind: type[T], *, strict: bool = True) -> T:
    """Decode a body into a struct.

    Args:
        strict: False takes numbers and truth values written as texts too, as the JSON of protobuf may have them.

    Raises:
        InvalidRequest: not JSON, nested too deeply, or a field of the wrong type; `param` names it.
        UnsupportedParameter: a field, a type of part or a role that the struct does not know.
    """
    if not body.strip():
        raise InvalidRequest("The body is empty; send a JSON object.")
    refuse_deep_nesting(body)
    try:
        if not body.isascii():
            body.decode()  # what the struct does not look into must be text too, or it fails where nobody can be told
        return msgspec.json.decode(body, type=kind, strict=strict)
    except msgspec.ValidationError as error:
        raise _explained(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if (whole := without_halves(body)) != body:
            return decode(whole, kind, strict=strict)
        raise InvalidRequest(f"The body is not valid JSON ({error}); check quotes, commas and brackets.") from error


def refuse_deep_nesting(body: bytes) -> None:
    """Raise InvalidRequest when arrays and objects are nested deeper than MAX_DEPTH."""
    # A body with few brackets cannot be deep: two counts at the speed of memchr settle nearly every request.
    if body.count(b"{") + body.count(b"[") <= MAX_DEPTH:
        return
    depth = 0
    for code in _STRINGS.sub(b"", body).translate(None, _NOT_BRACKETS):
        if code in _OPENING:
            depth += 1
            if depth > MAX_DEPTH:
                raise InvalidRequest(f"The body is nested deeper than {MAX_DEPTH} levels; flatten it.")
        else:
            depth -= 1


def _explained(error: msgspec.ValidationError) -> InvalidRequest:
    match = _WHERE.match(str(error))
    what, path = (match["what"], match["path"] or "") if match else (str(error), "")
    if unknown := _UNKNOWN.search(what):
        param = _joined(path, unknown["name"])
        return UnsupportedParameter(f"{param} cannot be passed on to this model; remove it.", param=param)
    if missing := _MISSING.search(what):
        param = _joined(path, missing["name"])
        return InvalidRequest(f"{param} is missing; it is required.", param=param)
    if what.startswith("Invalid value") and path.endswith(("type", "role")):
        return UnsupportedParameter(f"{path}: {what[:200]}; this model cannot take it.", param=path)
    where = f"{path}: " if path else WHOLE
    return InvalidRequest(f"{where}{what[:200]}.", param=path or None)


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
