"""With an app's own key nothing of another app can be read, used or changed; no route of clients can be forgotten."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from llm_manager.gateway.ingress.routers import OPENAI_ROUTERS, ROUTERS
from llm_manager.gateway.ingress.routing import LeanRoute
from llm_manager.testing.answering_worker import AnsweringWorker

ADMIN = ("admin", "seven wet umbrellas in May")
Json = dict[str, Any]
Route = tuple[str, str]
# Where the routes of several dialects share an address, the header that tells them apart.
HEADERS = {"googleroute": {"x-goog-api-client": "test"}, "versionedroute": {"anthropic-version": "2023-06-01"}}
# What a parameter of a path means. A route with one that is not here fails: say here whose it is.
OF_A_RESPONSE, OF_A_MODEL = {"response_id"}, {"model", "model_id"}
MESSAGES = [{"role": "user", "content": "Hi"}]
CONTENT = {"parts": [{"text": "Hi"}]}
# What is sent, and the field in which it names a model where the path does not. A route that is not here fails.
BODIES: dict[str, tuple[str, Json]] = {
    "/chat/completions": ("model", {"messages": MESSAGES}),
    "/embeddings": ("model", {"input": "Hi"}),
    "/completions": ("model", {"prompt": "Hi"}),
    "/rerank": ("model", {"query": "q", "documents": ["a", "b"]}),
    "/responses": ("model", {"input": "Hi"}),
    "/responses/compact": ("model", {"input": "Hi"}),
    "/responses/input_tokens": ("model", {"input": "Hi"}),
    "/responses/{response_id}/cancel": ("", {}),
    "/messages": ("model", {"max_tokens": 9, "messages": MESSAGES}),
    "/messages/count_tokens": ("model", {"messages": MESSAGES}),
    "/generate": ("configuration", {"prompt": "Hi"}),
    "/chat": ("model", {"messages": MESSAGES}),
    "/embed": ("model", {"texts": ["Hi"], "input_type": "search_query", "embedding_types": ["float"]}),
    ":generateContent": ("", {"contents": [CONTENT]}),
    ":streamGenerateContent": ("", {"contents": [CONTENT]}),
    ":countTokens": ("", {"contents": [CONTENT]}),
    ":embedContent": ("", {"content": CONTENT}),
    ":batchEmbedContents": ("", {"requests": [{"content": CONTENT}]}),
}
# Of those, what goes on from a stored response.
GOING_ON = ("/responses", "/responses/compact", "/responses/input_tokens")


@dataclass(frozen=True)
class Client:
    """A route of clients; `path` may hold one parameter."""

    method: str
    path: str
    kind: str

    @property
    def parameters(self) -> set[str]:
        return set(re.findall(r"{(\w+)", self.path))

    @property
    def tail(self) -> str:
        """The path without its version, or the method of Gemini behind it."""
        _, colon, method = re.sub(r"{(\w+):path}", r"{\1}", self.path).partition("}:")
        return f":{method}" if colon else re.sub(r"^(/openai)?(/api)?/v\d\w*", "", self.path)

    def request(self, *, model: str = "", response_id: str = "", **said: Any) -> Json:
        """What a client sends."""
        field, body = BODIES[self.tail] if self.method == "POST" else ("", {})
        path = re.sub(r"{(\w+).*?}", lambda found: response_id if found[1] in OF_A_RESPONSE else model, self.path)
        named = {field: model} if field else {}
        return {
            "method": self.method,
            "url": path,
            "headers": HEADERS.get(self.kind, {}),
            **({"json": {**body, **named, **said}} if self.method == "POST" else {}),
        }


def _routes() -> list[Client]:
    every = [(route, "") for router in ROUTERS for route in router.routes]
    # what create_app puts there for Groq's SDK
    every += [(route, "/openai") for router in OPENAI_ROUTERS for route in router.routes]
    return [
        Client(method, prefix + route.path, type(route).__name__.lower())
        for route, prefix in every
        if isinstance(route, LeanRoute)
        for method in sorted(route.methods or ())
    ]


CLIENTS = _routes()
OF_RESPONSES = [one for one in CLIENTS if one.parameters & OF_A_RESPONSE]
OF_MODELS = [
    one
    for one in CLIENTS
    if one.parameters & OF_A_MODEL or (one.method == "POST" and BODIES.get(one.tail, ("", {}))[0])
]
LISTS = [one for one in CLIENTS if one.method == "GET" and not one.parameters]


def test_every_route_of_clients_is_here() -> None:
    assert len(CLIENTS) > 40
    for one in CLIENTS:
        assert one.parameters <= OF_A_RESPONSE | OF_A_MODEL, f"{one}: whose is that? Say it at the top of this file"
        assert one.method != "POST" or one.tail in BODIES, f"{one}: what does it take? Say it in BODIES"
    assert {one.path.removeprefix("/openai") for one in LISTS} == {
        *("/v1/models", "/v1beta/models", "/v1alpha/models"),
    }
    assert len(CLIENTS) == len({*OF_RESPONSES, *OF_MODELS, *LISTS})


@dataclass(frozen=True)
class Two:
    """Two apps, each with a client of its own; `model` and `alias` are the owner's alone."""

    owner: httpx2.AsyncClient
    intruder: httpx2.AsyncClient
    model: str
    alias: str
    worker: AnsweringWorker

    @property
    def calls(self) -> int:
        return sum(call.WhichOneof("input") != "models" for call in self.worker.requests)

    async def stored(self) -> str:
        made = await self.owner.post("/v1/responses", json={"model": self.model, "input": "Once"})
        assert made.status_code == 200, made.text
        return made.json()["id"]


@pytest.fixture
async def two(served: Any, worker: AnsweringWorker) -> AsyncGenerator[Two]:
    mark = uuid4().hex[:8]
    bearers: list[Json] = []
    async with httpx2.AsyncClient(base_url=f"{served.url}/api/v1", auth=ADMIN, timeout=30) as admin:

        async def make(path: str, **said: Any) -> Json:
            answer = await admin.post(f"/{path}", json=said)
            assert answer.status_code == 201, answer.text
            return answer.json()

        for app in (f"owner-{mark}", f"intruder-{mark}"):
            await make("apps", name=app)
            bearers.append({"authorization": f"Bearer {(await make('keys', name='k', app=app))['api_key']}"})
        own = {"provider": "echo", "upstream_model": "echo", "app": f"owner-{mark}"}
        await make("configurations", name=f"secret-{mark}", **own)
        await make("aliases", name=f"hidden-{mark}", configuration=f"secret-{mark}")
    async with (
        httpx2.AsyncClient(base_url=served.url, headers=bearers[0], timeout=20) as owner,
        httpx2.AsyncClient(base_url=served.url, headers=bearers[1], timeout=20) as intruder,
    ):
        yield Two(owner, intruder, f"secret-{mark}", f"hidden-{mark}", worker)


def seen(answer: httpx2.Response, name: str) -> tuple[int, str, list[str]]:
    """What tells one refusal from another: all but the name that was asked for, and what each request has anew."""
    return answer.status_code, answer.text.replace(name, "(name)"), sorted(answer.headers)


def unknown_like(name: str) -> str:
    """A name of the same form that nobody has."""
    return name[:-6] + ("0" * 6 if name[-6:] != "0" * 6 else "1" * 6)


@pytest.mark.parametrize("query", [{}, {"stream": "true"}, {"order": "asc"}], ids=["plain", "stream", "order"])
async def test_a_response_of_another_app_is_one_that_does_not_exist(query: Json, two: Two) -> None:
    for one in OF_RESPONSES:
        response_id = await two.stored()
        before, unknown = await two.owner.get(f"/v1/responses/{response_id}"), unknown_like(response_id)
        theirs = await two.intruder.request(**one.request(response_id=response_id), params=query)
        nobodys = await two.intruder.request(**one.request(response_id=unknown), params=query)
        assert theirs.status_code == 404, (one, theirs.text)
        assert seen(theirs, response_id) == seen(nobodys, unknown), one
        assert (await two.owner.get(f"/v1/responses/{response_id}")).content == before.content
        # the owner gets on by the same request, or the refusals above would prove nothing
        assert (await two.owner.request(**one.request(response_id=response_id), params=query)).status_code in (200, 400)


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
async def test_nothing_goes_on_from_a_response_of_another_app(two: Two, *, is_stream: bool) -> None:
    response_id = await two.stored()
    before, unknown = await two.owner.get(f"/v1/responses/{response_id}"), unknown_like(response_id)
    routes = [one for one in CLIENTS if one.tail in GOING_ON]
    assert len(routes) == 2 * len(GOING_ON)
    for one in routes:
        said: Json = {"stream": True} if is_stream and one.tail == "/responses" else {}
        calls = two.calls
        theirs, nobodys = [
            await two.intruder.request(**one.request(model="echo", previous_response_id=previous, **said))
            for previous in (response_id, unknown)
        ]
        assert theirs.status_code in (400, 404), (one, theirs.text)
        assert seen(theirs, response_id) == seen(nobodys, unknown), one
        assert two.calls == calls
        gone_on = await two.owner.request(**one.request(model="echo", previous_response_id=response_id, **said))
        assert gone_on.status_code == 200, (one, gone_on.text)
    assert (await two.owner.get(f"/v1/responses/{response_id}")).content == before.content


async def test_a_model_of_another_app_answers_403_on_every_route_and_reaches_nobody(two: Two) -> None:
    for one in OF_MODELS:
        for name in (two.model, two.alias):
            calls = two.calls
            refused = await two.intruder.request(**one.request(model=name))
            assert refused.status_code == 403, (one, refused.text)
            assert two.calls == calls
            # neither what it is, nor whose, nor by which other name
            for told in {two.model, two.alias, "owner-", "echo"} - {name}:
                assert told not in refused.text, one
            allowed = await two.owner.request(**one.request(model=name))
            assert allowed.status_code not in (401, 403, 404, 422), (one, allowed.text)


async def test_no_list_and_no_hint_names_a_model_of_another_app(two: Two) -> None:
    for one in LISTS:
        for client, is_there in ((two.owner, True), (two.intruder, False)):
            answer = await client.request(**one.request(), params={"limit": 1000, "pageSize": 1000})
            assert answer.status_code == 200
            assert (two.model in answer.text, two.alias in answer.text) == (is_there, is_there), one
    for one in OF_MODELS:
        nearly = {"model": f"{two.model}x"}
        assert two.model in (await two.owner.request(**one.request(**nearly))).text.replace(nearly["model"], ""), one
        refused = await two.intruder.request(**one.request(**nearly))
        assert refused.status_code == 404, (one, refused.text)
        text = refused.text.replace(nearly["model"], "")
        assert (two.model in text, two.alias in text) == (False, False), one
