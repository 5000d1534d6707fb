"""langchain-openai: chat, stream, tools, structured output, embeddings."""

from __future__ import annotations

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel
from settings import API_KEY, EMBEDDING_MODEL, MODEL, URL


@tool
def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


class Person(BaseModel):
    """A person."""

    name: str
    age: int


model = ChatOpenAI(model=MODEL, base_url=f"{URL}/v1", api_key=API_KEY, stream_usage=True)

answer = model.invoke("Say hello.")
print("chat:", answer.text)
assert answer.usage_metadata
assert answer.usage_metadata["total_tokens"] > 0

chunks = list(model.stream("Count to three."))
print("stream:", "".join(chunk.text for chunk in chunks), f"in {len(chunks)} chunks")
used = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata]
assert len(used) == 1, "usage must come once, or LangChain adds it up"

calls = model.bind_tools([multiply]).invoke("Use multiply with 6 and 7.").tool_calls
print("tools:", calls)
assert calls[0]["name"] == "multiply"
assert calls[0]["args"] == {"a": 6, "b": 7}

person = model.with_structured_output(Person).invoke("Ada is 36 years old.")
print("structured:", person)
assert person == Person(name="Ada", age=36)

vectors = OpenAIEmbeddings(
    model=EMBEDDING_MODEL, base_url=f"{URL}/v1", api_key=API_KEY, check_embedding_ctx_length=False
).embed_documents(["one", "two"])
print("embeddings:", len(vectors), "of", len(vectors[0]))
assert len(vectors) == 2
