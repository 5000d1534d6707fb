"""Client of LLM Manager: calls of models and the admin API, typed."""

from __future__ import annotations

from .calls import AsyncChatCall, AsyncChatStream, AsyncEmbedCall, ChatCall, ChatStream, EmbedCall
from .clients import AsyncClient, Client
from .errors import (
    AuthenticationFailed,
    BudgetExceeded,
    Cancelled,
    Conflict,
    DeadlineExceeded,
    InvalidRequest,
    LlmManagerError,
    NotFound,
    PermissionRefused,
    PreconditionFailed,
    ProtocolError,
    RateLimited,
    ServerFailed,
    Unavailable,
    Unreachable,
)
from .results import ChatAnswer, Embeddings, Piece, ToolCall, Usage

__all__ = [
    "AsyncChatCall",
    "AsyncChatStream",
    "AsyncClient",
    "AsyncEmbedCall",
    "AuthenticationFailed",
    "BudgetExceeded",
    "Cancelled",
    "ChatAnswer",
    "ChatCall",
    "ChatStream",
    "Client",
    "Conflict",
    "DeadlineExceeded",
    "EmbedCall",
    "Embeddings",
    "InvalidRequest",
    "LlmManagerError",
    "NotFound",
    "PermissionRefused",
    "Piece",
    "PreconditionFailed",
    "ProtocolError",
    "RateLimited",
    "ServerFailed",
    "ToolCall",
    "Unavailable",
    "Unreachable",
    "Usage",
]
