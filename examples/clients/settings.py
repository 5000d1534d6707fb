"""Where LLM Manager is, from the environment."""

from __future__ import annotations

import os

URL = os.environ.get("LLM_MANAGER_URL", "http://127.0.0.1:8080")
API_KEY = os.environ["LLM_MANAGER_API_KEY"]
MODEL = os.environ.get("LLM_MANAGER_MODEL", "default")
EMBEDDING_MODEL = os.environ.get("LLM_MANAGER_EMBEDDING_MODEL", "echo-embedding")
