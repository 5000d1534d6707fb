"""langchain-anthropic: chat, stream, tools, structured output, counting tokens."""

from __future__ import annotations

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
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


model = ChatAnthropic(model=MODEL, base_url=URL, api_key=API_KEY, max_tokens=1000)

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

counted = model.get_num_tokens_from_messages([HumanMessage("How many tokens is this?")])
print("tokens:", counted)
assert counted > 0
