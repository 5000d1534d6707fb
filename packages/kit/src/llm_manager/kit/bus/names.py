"""Names on the wire of the bus: headers, subjects, buckets and streams. Part of the contract for foreign workers."""

from __future__ import annotations

from typing import Final

# Headers of a request.
REQUEST_ID: Final = "Request-Id"
TIMEOUT_MS: Final = "Timeout-Ms"
# The business bytes of this message (the payload of a request; `message`, `done` or `detail` of a frame) lie in the
# object store under this name, and the field in the message is empty.
CLAIM_CHECK: Final = "Claim-Check"
# On a Cancel: the inbox of the very attempt that is meant, because attempts share the request id.
INBOX: Final = "Inbox"
# Header that the server or JetStream sets instead of a payload, and its value for "nobody listens".
STATUS: Final = "Status"
NO_RESPONDERS: Final = "503"
MESSAGE_ID: Final = "Nats-Msg-Id"

# Below a user's inboxes: what workers write of their answers, and what callers answer to a worker's probes.
ANSWERS: Final = "answers"
PROBES: Final = "probes"
# The queue group of workers.
QUEUE_WORKERS: Final = "providers"

STREAM_USAGE: Final = "USAGE"
STREAM_EVENTS: Final = "EVENTS"
# The consumer of the stream USAGE that fills the ledger.
CONSUMER_LEDGER: Final = "ledger"
BUCKET_CONFIG: Final = "config"
BUCKET_CLAIMS: Final = "claims"
# The key of the bucket `config` that holds the price book, as `core.prices.PriceBook.to_json` writes it.
KEY_PRICE_BOOK: Final = "price_book"
# What the envelope of a provider's credential is bound to, so that it opens as nothing else.
CREDENTIAL_AAD: Final = b"provider-credential"
# The same of a provider's own headers.
HEADERS_AAD: Final = b"provider-headers"

SUBJECTS_USAGE: Final = "llm.v1.usage.recorded.>"
SUBJECTS_EVENTS: Final = "llm.v1.event.>"
EVENT_STARTED: Final = "llm.v1.event.inference.started"
EVENT_COMPLETED: Final = "llm.v1.event.inference.completed"
_NO_TOKEN: Final = {ord(character): "_" for character in " .*>\t\r\n"}


def inbox_prefix(user: str) -> str:
    """Return what all inboxes of a user begin with."""
    return f"_INBOX.{user}" if user else "_INBOX"


def infer_subject(kind: str) -> str:
    """Return the subject on which workers of a provider kind take requests."""
    return f"llm.v1.infer.{kind}"


def usage_subject(app_id: str) -> str:
    """Return where an app's usage events go: one token an app, so that consumers can be split by app."""
    return f"llm.v1.usage.recorded.{app_id.translate(_NO_TOKEN) or 'none'}"


def cancel_subject(worker_id: str) -> str:
    """Return the subject on which one worker takes cancellations."""
    return f"llm.v1.cancel.{worker_id}"
