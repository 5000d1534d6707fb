"""Who may do what on the bus: one user for each service, with the subjects that it needs and no others.

This table is what `llm-manager up` gives its nats-server, what docs/reference/nats.md shows to those who run NATS
themselves, and what tests/integration/kit/test_bus_permissions.py holds the services to.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from llm_manager.kit.bus.names import (
    ANSWERS,
    BUCKET_CLAIMS,
    BUCKET_CONFIG,
    CONSUMER_LEDGER,
    EVENT_COMPLETED,
    EVENT_STARTED,
    KEY_PRICE_BOOK,
    PROBES,
    QUEUE_WORKERS,
    STREAM_EVENTS,
    STREAM_USAGE,
    cancel_subject,
    inbox_prefix,
    infer_subject,
)

GATEWAY: Final = "gateway"
PROVIDERS: Final = "providers"
USAGE: Final = "usage"
# People and the programs that they run against a bus: `llm-manager-conformance`, `nats micro ls`.
OPERATOR: Final = "operator"

_API: Final = "$JS.API"
_KV: Final = f"KV_{BUCKET_CONFIG}"
_OBJ: Final = f"OBJ_{BUCKET_CLAIMS}"
_ASSETS: Final = (STREAM_USAGE, STREAM_EVENTS, _KV, _OBJ)
_PRICE_BOOK: Final = f"$KV.{BUCKET_CONFIG}.{KEY_PRICE_BOOK}"
# One token an app.
_USAGE_EVENTS: Final = "llm.v1.usage.recorded.*"
# Whoever starts first makes what is missing; `STREAM.CREATE` changes nothing that is there.
_CREATE: Final = tuple(f"{_API}.STREAM.CREATE.{name}" for name in _ASSETS)
# In and out of the object store (kit/bus/claim_check.py), whose subjects nats-py makes.
_CLAIMS: Final = (
    f"$O.{BUCKET_CLAIMS}.C.*",
    f"$O.{BUCKET_CLAIMS}.M.*",
    f"{_API}.DIRECT.GET.{_OBJ}",
    f"{_API}.STREAM.MSG.GET.{_OBJ}",
    # of the chunks of one claim; NATS cannot narrow this to a subject
    f"{_API}.STREAM.PURGE.{_OBJ}",
)


@dataclass(frozen=True, slots=True)
class Permissions:
    """Subjects that a user may publish on and subscribe to; the latter may be bound to a queue group by a space."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def _inboxes(user: str, purpose: str = "") -> str:
    return f"{inbox_prefix(user)}.{purpose}.>" if purpose else f"{inbox_prefix(user)}.>"


def _watch(keys: str) -> tuple[str, ...]:
    """Follow keys of the bucket `config`: the server compares the filter in the subject with that of the request."""
    return (
        f"{_API}.CONSUMER.CREATE.{_KV}.*.$KV.{BUCKET_CONFIG}.{keys}",
        # the names of consumers are secrets of those who made them (kit/bus/kv.py)
        f"{_API}.CONSUMER.MSG.NEXT.{_KV}.*",
        # a watch that ends gives back what it has not read; consumers of this stream know no acknowledgement
        f"$JS.ACK.{_KV}.>",
    )


PERMISSIONS: Final[Mapping[str, Permissions]] = {
    GATEWAY: Permissions(
        publish=(
            infer_subject("*"),
            cancel_subject("*"),
            EVENT_STARTED,
            EVENT_COMPLETED,
            # attempts that no worker accounts for
            _USAGE_EVENTS,
            _inboxes(PROVIDERS, PROBES),
            # records have keys of two and more tokens, so this is not the price book
            f"$KV.{BUCKET_CONFIG}.*.>",
            *_watch(">"),
            *_CLAIMS,
            *_CREATE,
        ),
        subscribe=(_inboxes(GATEWAY),),
    ),
    PROVIDERS: Permissions(
        publish=(
            _inboxes(GATEWAY, ANSWERS),
            _inboxes(OPERATOR),
            _USAGE_EVENTS,
            *_watch(KEY_PRICE_BOOK),
            *_CLAIMS,
            *_CREATE,
        ),
        subscribe=(
            # in the queue group only: whoever listens beside it would get a copy of every request
            f"{infer_subject('*')} {QUEUE_WORKERS}",
            cancel_subject("*"),
            "$SRV.>",
            _inboxes(PROVIDERS),
        ),
    ),
    USAGE: Permissions(
        publish=(
            # the reconciler's
            _USAGE_EVENTS,
            _PRICE_BOOK,
            f"{_API}.STREAM.INFO.{_KV}",
            f"{_API}.DIRECT.GET.{_KV}.{_PRICE_BOOK}",
            # the ledger's consumer, its lag, and the room that stored events give back
            f"{_API}.CONSUMER.DURABLE.CREATE.{STREAM_USAGE}.{CONSUMER_LEDGER}",
            f"{_API}.CONSUMER.MSG.NEXT.{STREAM_USAGE}.{CONSUMER_LEDGER}",
            f"{_API}.CONSUMER.INFO.{STREAM_USAGE}.{CONSUMER_LEDGER}",
            f"$JS.ACK.{STREAM_USAGE}.{CONSUMER_LEDGER}.>",
            f"{_API}.STREAM.INFO.{STREAM_USAGE}",
            f"{_API}.STREAM.PURGE.{STREAM_USAGE}",
            # the reconciler's look at what was started
            f"{_API}.STREAM.INFO.{STREAM_EVENTS}",
            f"{_API}.CONSUMER.CREATE.{STREAM_EVENTS}.*.{EVENT_STARTED}",
            f"{_API}.CONSUMER.MSG.NEXT.{STREAM_EVENTS}.*",
            *_CREATE,
            # it alone changes assets that are there, for it knows their room
            *(f"{_API}.STREAM.UPDATE.{name}" for name in _ASSETS),
        ),
        subscribe=(_inboxes(USAGE),),
    ),
    OPERATOR: Permissions(
        publish=(infer_subject("*"), cancel_subject("*"), "$SRV.>"),
        subscribe=(_USAGE_EVENTS, _inboxes(OPERATOR)),
    ),
}


def authorization(passwords: Mapping[str, str]) -> str:
    """Return the block `authorization` of a nats-server's configuration; with real passwords its file must be private.

    Args:
        passwords: of every user of `PERMISSIONS`, in clear or as bcrypt hashes; who has none of them gets no user.
    """
    users = "\n".join(_user(user, passwords[user]) for user in PERMISSIONS if user in passwords)
    return f"authorization {{\n  users = [\n{users}\n  ]\n}}"


def _user(user: str, password: str) -> str:
    allowed = PERMISSIONS[user]
    return f"""\
    {{
      user: {json.dumps(user)}
      password: {json.dumps(password)}
      permissions {{
        publish = [
{_listed(allowed.publish)}
        ]
        subscribe = [
{_listed(allowed.subscribe)}
        ]
      }}
    }}"""


def _listed(subjects: tuple[str, ...]) -> str:
    return "\n".join(f"          {json.dumps(subject)}" for subject in subjects)
