"""langchain-google-genai: chat, stream, tools, structured output, embeddings."""

from __future__ import annotations

from langchain_core.tools import tool
from langchain_google_genai import ChatGoogleGenerativeAI
from pydantic import BaseModel
from settings import API_KEY, MODEL, URL


@tool
def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


class Person(BaseModel):
    """A person."""

    name: str
    age: int


model = ChatGoogleGenerativeAI(model=MODEL, base_url=URL, google_api_key=API_KEY)

answer = model.invoke("Say hello.")
print("chat:", answer.text)
assert answer.usage_metadata
assert answer.usage_metadata["total_tokens"] > 0

text = "".join(chunk.text for chunk in model.stream("Count to three."))
print("stream:", text)
assert text

calls = model.bind_tools([multiply]).invoke("Use multiply with 6 and 7.").tool_calls
print("tools:", calls)
assert calls[0]["name"] == "multiply"
assert calls[0]["args"] == {"a": 6, "b": 7}

person = model.with_structured_output(Person).invoke("Ada is 36 years old.")
print("structured:", person)
assert person == Person(name="Ada", age=36)
