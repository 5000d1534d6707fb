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

STREAM_USAGE: Final = "USAGE"
STREAM_EVENTS: Final = "EVENTS"
BUCKET_CONFIG: Final = "config"
BUCKET_CLAIMS: Final = "claims"


def cancel_subject(worker_id: str) -> str:
    """Return the subject on which one worker takes cancellations."""
    return f"llm.v1.cancel.{worker_id}"
