"""What a model answers, as it travels: Delta, AnswerInfo, Model and the rest of inference/v1/chat.proto."""

from __future__ import annotations

from collections.abc import Sequence

from llm_manager.contracts.inference.v1 import chat_pb2, infer_pb2
from llm_manager.core import deltas as words
from llm_manager.core.messages import OpaqueBlock

_REASONS: dict[str, words.FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
}


def clean(text: str) -> str:
    """Replace lone surrogates, which models do write into JSON escapes and protobuf does not take."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def bounded(text: str, characters: int = 256) -> str:
    """Return the beginning of a text of somebody else's, as protobuf takes it: ids and names are short, or cut."""
    return clean(text[:characters])


def delta_to_proto(delta: words.Delta) -> chat_pb2.Delta:  # noqa: PLR0911 # one line for each kind
    """Return one step as it travels."""
    choice = delta.choice
    match delta:
        case words.TextDelta():
            return chat_pb2.Delta(choice=choice, text=clean(delta.text))
        case words.ReasoningDelta():
            return chat_pb2.Delta(choice=choice, reasoning=clean(delta.text))
        case words.RefusalDelta():
            return chat_pb2.Delta(choice=choice, refusal=clean(delta.text))
        case words.ToolCallStart():
            start = chat_pb2.ToolCallStart(index=delta.index, id=clean(delta.id), name=clean(delta.name))
            return chat_pb2.Delta(choice=choice, tool_call_start=start)
        case words.ToolCallArguments():
            arguments = chat_pb2.ToolCallArguments(index=delta.index, fragment=clean(delta.fragment))
            return chat_pb2.Delta(choice=choice, tool_call_arguments=arguments)
        case words.Logprobs():
            return chat_pb2.Delta(choice=choice, logprobs=delta.json)
        case words.Annotation():
            return chat_pb2.Delta(choice=choice, annotation=delta.json)
        case words.Finish():
            finish = chat_pb2.Finish(reason=delta.reason, native_reason=clean(delta.native_reason))
            return chat_pb2.Delta(choice=choice, finish=finish)
        case words.OpaqueDelta():
            block = chat_pb2.OpaqueBlock(dialect=delta.block.dialect, json=delta.block.json)
            return chat_pb2.Delta(choice=choice, opaque=block)


def delta_from_proto(delta: chat_pb2.Delta) -> words.Delta | None:  # noqa: PLR0911 # one line for each kind
    """Return the step that travelled; None for a kind of a newer version."""
    choice = delta.choice
    match delta.WhichOneof("kind"):
        case "text":
            return words.TextDelta(text=delta.text, choice=choice)
        case "reasoning":
            return words.ReasoningDelta(text=delta.reasoning, choice=choice)
        case "refusal":
            return words.RefusalDelta(text=delta.refusal, choice=choice)
        case "tool_call_start":
            start = delta.tool_call_start
            return words.ToolCallStart(index=start.index, id=start.id, name=start.name, choice=choice)
        case "tool_call_arguments":
            more = delta.tool_call_arguments
            return words.ToolCallArguments(index=more.index, fragment=more.fragment, choice=choice)
        case "logprobs":
            return words.Logprobs(json=delta.logprobs, choice=choice)
        case "annotation":
            return words.Annotation(json=delta.annotation, choice=choice)
        case "finish":
            end = delta.finish
            # a reason of a newer worker still ends the answer, and length promises the least
            return words.Finish(
                reason=_REASONS.get(end.reason, "length"), native_reason=end.native_reason, choice=choice
            )
        case "opaque":
            block = OpaqueBlock(dialect=delta.opaque.dialect, json=delta.opaque.json)
            return words.OpaqueDelta(block=block, choice=choice)
        case _:
            return None


def info_to_proto(info: words.AnswerInfo) -> chat_pb2.AnswerInfo:
    """Return what is said about a whole answer as it travels."""
    return chat_pb2.AnswerInfo(
        id=clean(info.id),
        model=clean(info.model),
        created=info.created,
        system_fingerprint=clean(info.system_fingerprint),
        service_tier=clean(info.service_tier),
    )


def info_from_proto(info: chat_pb2.AnswerInfo) -> words.AnswerInfo:
    """Return what was said about a whole answer."""
    return words.AnswerInfo(
        id=info.id,
        model=info.model,
        created=info.created,
        system_fingerprint=info.system_fingerprint,
        service_tier=info.service_tier,
    )


def model_to_proto(model: words.Model) -> chat_pb2.Model:
    """Return a model as it travels."""
    return chat_pb2.Model(
        id=clean(model.id), created=model.created, owned_by=clean(model.owned_by), native=model.native
    )


def model_from_proto(model: chat_pb2.Model) -> words.Model:
    """Return the model that travelled."""
    return words.Model(id=model.id, created=model.created, owned_by=model.owned_by, native=model.native)


def embedding_to_proto(vector: Sequence[float]) -> chat_pb2.Embedding:
    """Return a vector as it travels."""
    return chat_pb2.Embedding(values=vector)


def rerank_result_to_proto(result: words.RerankResult) -> chat_pb2.RerankResult:
    """Return one document's place as it travels."""
    return chat_pb2.RerankResult(index=result.index, score=result.score)


def rerank_result_from_proto(result: chat_pb2.RerankResult) -> words.RerankResult:
    """Return the place that travelled."""
    return words.RerankResult(index=result.index, score=result.score)


def exchange_to_proto(exchange: words.UpstreamExchange) -> infer_pb2.UpstreamExchange:
    """Return an exchange as it travels."""
    return infer_pb2.UpstreamExchange(
        url=exchange.url,
        method=exchange.method,
        status=exchange.status,
        headers_ms=exchange.headers_ms,
        total_ms=exchange.total_ms,
        bytes=exchange.size,
        content_type=exchange.content_type,
        preview=exchange.preview,
    )


def exchange_from_proto(exchange: infer_pb2.UpstreamExchange) -> words.UpstreamExchange:
    """Return the exchange that travelled."""
    return words.UpstreamExchange(
        url=exchange.url,
        method=exchange.method,
        status=exchange.status,
        headers_ms=exchange.headers_ms,
        total_ms=exchange.total_ms,
        size=exchange.bytes,
        content_type=exchange.content_type,
        preview=exchange.preview,
    )


def token_count_to_proto(count: words.TokenCount) -> chat_pb2.TokenCount:
    """Return the size of a prompt as it travels."""
    return chat_pb2.TokenCount(input_tokens=count.input_tokens, cached_tokens=count.cached_tokens)


def token_count_from_proto(count: chat_pb2.TokenCount) -> words.TokenCount:
    """Return the size that travelled."""
    return words.TokenCount(input_tokens=count.input_tokens, cached_tokens=count.cached_tokens)
