"""langchain-openai over the Responses API: chat, stream, tools, a conversation kept by the server."""

from __future__ import annotations

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from settings import API_KEY, MODEL, URL


@tool
def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


model = ChatOpenAI(model=MODEL, base_url=f"{URL}/v1", api_key=API_KEY, use_responses_api=True)

first = model.invoke("Say hello.")
print("chat:", first.text)
assert first.usage_metadata
assert first.usage_metadata["total_tokens"] > 0

text = "".join(chunk.text for chunk in model.stream("Count to three."))
print("stream:", text)
assert text

calls = model.bind_tools([multiply]).invoke("Use multiply with 6 and 7.").tool_calls
print("tools:", calls)
assert calls[0]["name"] == "multiply"
assert calls[0]["args"] == {"a": 6, "b": 7}

second = model.invoke("And now?", previous_response_id=first.response_metadata["id"])
print("goes on:", second.text)
assert second.text
