import pytest

from llm_manager.kit.masking import mask, mask_event


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("lm_live_0123456789ab_0123", "***"),
        ("key sk-proj-abc_DEF-123456 end", "key *** end"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: *** ***"),
        ("postgresql+asyncpg://user:pass@host/db", "postgresql+asyncpg://***@host/db"),
        ("nats://token@host:4222", "nats://***@host:4222"),
        ("{'x-goog-api-key': 'abcd'}", "{'x-goog-api-key': ***}"),
        ("?api_key=abcd&model=m", "?api_key=***&model=m"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "***"),
        ("AKIAIOSFODNN7EXAMPLE", "***"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY----- x", "*** x"),
    ],
)
def test_what_looks_like_a_key_is_replaced(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "usage_recorded",
        "0190d8f2-7c1e-7000-8000-123456789abc",
        "0af7651916cd43dd8448eb211c80319c",
        "model gpt-4o-mini used 12 tokens",
        "http://127.0.0.1:8080/v1/chat/completions",
        "task-sk-risk",
        "max_tokens: 5",
        "a@b.example wrote https://host/path",
    ],
)
def test_ordinary_texts_stay_as_they_are(text: str) -> None:
    assert mask(text) == text


def test_fields_named_like_secrets_are_masked_and_counts_are_not() -> None:
    event = {
        "api_key": "short",
        "x-api-key": "k",
        "nats_token": "t",
        "input_tokens": 3,
        "key_id": "abc",
        "password": None,
    }

    assert mask_event(None, "info", event) == {
        "api_key": "***", "x-api-key": "***", "nats_token": "***", "input_tokens": 3, "key_id": "abc", "password": None,
    }  # fmt: skip


def test_nested_values_are_masked_and_depth_is_bounded() -> None:
    deep: dict[str, object] = {}
    deep["again"] = deep

    masked = mask_event(None, "info", {"deep": deep, "list": ["sk-abcdefghijk", 1], "tuple": (b"sk-abcdefghijk",)})

    assert masked["list"] == ["***", 1]
    assert masked["tuple"] == ["***"]
    assert "…" in str(masked["deep"])


def test_long_texts_are_cut_after_masking_known_secrets() -> None:
    assert mask("a" * 20_000) == "a" * 16_384 + "… (20000 characters)"
