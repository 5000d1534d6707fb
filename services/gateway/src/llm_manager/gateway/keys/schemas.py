"""HTTP models of API keys."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class KeyBody(BaseModel):
    """What a new key is called and to which app it belongs."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$", examples=["laptop"])]
    app: Annotated[str, Field(min_length=1, max_length=200, examples=["default"])] = "default"


class KeyView(BaseModel):
    """A key without its secret."""

    id: str = Field(examples=["k3v9x2m1q8za"])
    name: str
    app: str
    created_at: datetime
    revoked_at: datetime | None = None


class NewKeyView(KeyView):
    """A key just made; `api_key` is shown this once."""

    api_key: str = Field(examples=["lm_live_…"])
