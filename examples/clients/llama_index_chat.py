"""LlamaIndex: chat, stream, tools, embeddings."""

from __future__ import annotations

from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike
from settings import API_KEY, EMBEDDING_MODEL, MODEL, URL


def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


model = OpenAILike(
    model=MODEL, api_base=f"{URL}/v1", api_key=API_KEY, is_chat_model=True, is_function_calling_model=True
)

answer = model.chat([ChatMessage(role="user", content="Say hello.")])
print("chat:", answer.message.content)
assert answer.message.content

text = "".join(part.delta or "" for part in model.stream_chat([ChatMessage(role="user", content="Count to three.")]))
print("stream:", text)
assert text

result = model.predict_and_call([FunctionTool.from_defaults(multiply)], "Use multiply with 6 and 7.")
print("tools:", result)
assert "42" in str(result)

vectors = OpenAILikeEmbedding(
    model_name=EMBEDDING_MODEL, api_base=f"{URL}/v1", api_key=API_KEY
).get_text_embedding_batch(["one", "two"])
print("embeddings:", len(vectors), "of", len(vectors[0]))
assert len(vectors) == 2
