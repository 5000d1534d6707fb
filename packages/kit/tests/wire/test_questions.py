"""What is asked comes out of the contract's messages as it went in."""

from __future__ import annotations

import pytest

from llm_manager.contracts.inference.v1 import chat_pb2
from llm_manager.core import messages as words
from llm_manager.core.errors import InvalidRequest
from llm_manager.kit.wire.questions import (
    chat_from_proto,
    chat_to_proto,
    embeddings_from_proto,
    embeddings_to_proto,
    rerank_from_proto,
    rerank_to_proto,
)

PICTURE = words.Media(data=b"x", mime_type="i/p", filename="f", detail="low", cache_ttl="5m")
RESULT = words.ToolResult(
    tool_call_id="c", parts=(words.Text(text="d"), words.Media(url="u")), is_error=True, name="f", cache_ttl="5m"
)
EVERYTHING = words.ChatInput(
    messages=(
        words.Message(role="system", parts=(words.Text(text="s", cache_ttl="1h"),)),
        words.Message(role="user", name="ann", parts=(words.Text(text="a"), PICTURE)),
        words.Message(role="user", parts=(words.Media(url="u"), words.Media(file_id="f"))),
        words.Message(
            role="assistant",
            parts=(
                words.Reasoning(text="r"),
                words.Refusal(text="n"),
                words.ToolCall(id="c", name="f", arguments="{", cache_ttl="1h"),
                words.OpaqueBlock(dialect="x", json=b"{}"),
            ),
        ),
        words.Message(role="tool", parts=(RESULT,)),
    ),
    tools=(
        words.Tool(name="f", description="d", parameters=b"{}", is_strict=False, cache_ttl="5m"),
        words.Tool(name="g"),
    ),
    native_tools=(words.OpaqueBlock(dialect="anthropic_messages", json=b'{"type":"web_search"}'),),
    tool_choice=words.ToolChoice(mode="required", parallel=False, allowed=("f", "g")),
    response_format=words.ResponseFormat(kind="json_schema", name="s", schema=b"{}", is_strict=True),
    sampling=words.Sampling(
        max_tokens=0,
        temperature=0.0,
        top_p=1.0,
        top_k=3,
        presence_penalty=-2.0,
        frequency_penalty=2.0,
        seed=-(2**62),
        stop=("a", "b"),
        n=2,
        logprobs=False,
        top_logprobs=0,
        reasoning_effort="high",
        reasoning_budget=0,
        shows_reasoning=False,
    ),
    extension=b'{"x":1}',
)


@pytest.mark.parametrize(
    "chat",
    [
        EVERYTHING,
        words.ChatInput(messages=()),
        words.ChatInput(messages=(), tool_choice=words.ToolChoice(mode="named", name="f")),
        words.ChatInput(messages=(), response_format=words.ResponseFormat(kind="text")),
    ],
)
def test_a_chat_comes_back_whole(chat: words.ChatInput) -> None:
    travelled = chat_pb2.ChatInput.FromString(chat_to_proto(chat).SerializeToString())
    assert chat_from_proto(travelled) == chat


def test_what_was_not_said_is_absent_and_not_zero() -> None:
    message = chat_to_proto(words.ChatInput(messages=()))
    assert message == chat_pb2.ChatInput(sampling=chat_pb2.Sampling())
    assert not message.sampling.HasField("temperature")
    assert not message.HasField("tool_choice")


def test_every_field_of_sampling_has_the_same_name_in_the_contract() -> None:
    assert set(words.Sampling.__struct_fields__) == set(chat_pb2.Sampling.DESCRIPTOR.fields_by_name)


@pytest.mark.parametrize(
    "message", [chat_pb2.Message(), chat_pb2.Message(role=chat_pb2.ROLE_USER, parts=[chat_pb2.Part()])]
)
def test_a_message_that_says_nothing_is_refused(message: chat_pb2.Message) -> None:
    with pytest.raises(InvalidRequest):
        chat_from_proto(chat_pb2.ChatInput(messages=[message]))


@pytest.mark.parametrize(
    "asked",
    [
        words.EmbeddingsInput(texts=("a", "b"), dimensions=3, purpose="search_query", extension=b"{}"),
        words.EmbeddingsInput(texts=("a",)),
    ],
)
def test_texts_to_embed_come_back_whole(asked: words.EmbeddingsInput) -> None:
    assert embeddings_from_proto(embeddings_to_proto(asked)) == asked


def test_unknown_purpose_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest, match="decoration") as raised:
        embeddings_from_proto(chat_pb2.EmbeddingsInput(texts=["a"], purpose="decoration"))
    assert raised.value.param == "purpose"


@pytest.mark.parametrize(
    "asked",
    [
        words.RerankInput(query="q", documents=("a", "b"), top_n=1, extension=b"{}"),
        words.RerankInput(query="q", documents=("a",)),
    ],
)
def test_documents_to_order_come_back_whole(asked: words.RerankInput) -> None:
    assert rerank_from_proto(rerank_to_proto(asked)) == asked


def test_results_keep_the_order_of_what_tools_gave_and_are_read_as_they_were_once_written() -> None:
    def back(result: chat_pb2.ToolResult) -> words.Part:
        message = chat_pb2.Message(role=chat_pb2.ROLE_TOOL, parts=[chat_pb2.Part(tool_result=result)])
        return chat_from_proto(chat_pb2.ChatInput(messages=[message])).messages[0].parts[0]

    def written(*parts: words.Text | words.Media) -> chat_pb2.ToolResult:
        result = words.ToolResult(tool_call_id="c", parts=parts)
        asked = words.ChatInput(messages=(words.Message(role="tool", parts=(result,)),))
        message = chat_to_proto(asked).messages[0].parts[0].tool_result
        assert back(message) == result
        return message

    mixed = written(words.Media(url="u"), words.Text(text="a"), words.Text(text="b"))
    assert (mixed.content, [part.WhichOneof("kind") for part in mixed.parts]) == ("", ["media", "text", "text"])
    # a worker that knows no parts reads what most tools give
    assert (written(words.Text(text="a")).content, len(written(words.Text(text="a")).parts)) == ("a", 0)
    old = chat_pb2.ToolResult(tool_call_id="c", content="a", media=[chat_pb2.Media(url="u")])
    assert back(old) == words.ToolResult(tool_call_id="c", parts=(words.Text(text="a"), words.Media(url="u")))
