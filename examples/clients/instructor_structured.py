"""instructor: structured output by tools and by JSON schema."""

from __future__ import annotations

import instructor
from openai import OpenAI
from pydantic import BaseModel
from settings import API_KEY, MODEL, URL


class Person(BaseModel):
    """A person."""

    name: str
    age: int


for mode in (instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA):
    client = instructor.from_openai(OpenAI(base_url=f"{URL}/v1", api_key=API_KEY), mode=mode)
    person = client.chat.completions.create(
        model=MODEL, response_model=Person, messages=[{"role": "user", "content": "Ada is 36 years old."}]
    )
    print(f"{mode.value}:", person)
    assert person.model_dump() == {"name": "Ada", "age": 36}
