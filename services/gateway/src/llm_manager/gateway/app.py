"""Composition root: builds everything and wires it by constructors."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from llm_manager.gateway import health
from llm_manager.gateway.access.endpoints import is_guarded
from llm_manager.gateway.admin import ADMIN_ROUTERS, ControlPlane, build_admin, describe_repeatable
from llm_manager.gateway.bootstrap import MIGRATIONS, Bootstrap
from llm_manager.gateway.catalogue.discovery import ModelDirectory
from llm_manager.gateway.catalogue.service import Catalogue
from llm_manager.gateway.http import errors
from llm_manager.gateway.http.connections import ConnectionLimits, Connections
from llm_manager.gateway.http.cors import Cors
from llm_manager.gateway.http.edge import Drain, Edge
from llm_manager.gateway.http.forwarded import TrustedProxies
from llm_manager.gateway.inference.client import WorkerClient
from llm_manager.gateway.inference.events import InferenceEvents, LostAttempts
from llm_manager.gateway.inference.service import Inference
from llm_manager.gateway.ingress.front import Front, answer
from llm_manager.gateway.ingress.openai.schemas import BEARER
from llm_manager.gateway.ingress.responses.service import RESPONSES, StoredResponses
from llm_manager.gateway.ingress.responses.store import ResponseStore
from llm_manager.gateway.ingress.routers import ERROR_RULES, OPENAI_ROUTERS, ROUTERS
from llm_manager.gateway.ingress.routing import LeanRoute
from llm_manager.gateway.ingress.rpc import SERVICE_NAME, InferenceRpc
from llm_manager.gateway.keys.rules import KnownCallers
from llm_manager.gateway.parts import PARTS, Limits, Parts
from llm_manager.gateway.probing.service import Prober
from llm_manager.gateway.probing.store import ProfileStore
from llm_manager.gateway.secrets.rules import Purpose, opened
from llm_manager.gateway.server import serving
from llm_manager.gateway.settings import GatewaySettings
from llm_manager.gateway.usage import endpoints as usage
from llm_manager.gateway.usage.client import UsageClient
from llm_manager.gateway.usage.service import UsageReports
from llm_manager.gateway.usage.store import NameStore
from llm_manager.kit.bus.connection import BusState, connect
from llm_manager.kit.bus.requests import Requester
from llm_manager.kit.bus.streams import ensure_streams
from llm_manager.kit.rpc import channel
from llm_manager.kit.rpc import server as rpc_server
from llm_manager.kit.service import Ops, run_from_environment, run_once_from_environment
from llm_manager.kit.sql import open_database
from llm_manager.kit.sql_migrations import migrate

_VERSION = "0.1.0"
_FOR_EVERYBODY = frozenset({("GET", "/healthz"), ("POST", "/api/v1/session")})
_DESCRIPTION = "One API for every language model. The OpenAI SDKs work by changing base URL and API key."


class GatewayApp(FastAPI):
    """The application; its document also names the API key, which the hot routes check by hand."""

    front: Front
    hot: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer hot routes past the framework, and everything else through it."""
        route = self.front.route_of(scope)
        if route is None:
            await super().__call__(scope, receive, send)
            return
        scope["app"], scope["route"] = self, route
        await self.hot(scope, receive, send)

    def openapi(self) -> dict[str, Any]:  # FastAPI's own type
        """Return the OpenAPI document."""
        if self.openapi_schema is None:
            document = super().openapi()
            document.setdefault("components", {}).setdefault("securitySchemes", {})["ApiKey"] = BEARER
            describe_repeatable(document["paths"])
            self.openapi_schema = document
        return self.openapi_schema

    def serve_document(self, path: str) -> None:
        """Answer with the document, made once and by a thread: it takes a quarter of a second and 190 kB each time."""
        making: asyncio.Future[bytes] | None = None

        async def answer(_: Request) -> Response:
            nonlocal making
            if making is None:
                making = asyncio.ensure_future(asyncio.to_thread(lambda: msgspec.json.encode(self.openapi())))
            return Response(await asyncio.shield(making), media_type="application/json")

        self.add_route(path, answer, include_in_schema=False)


def create_app(
    drain: Drain | None = None, *, cors_origins: Sequence[str] = (), proxies: TrustedProxies | None = None
) -> GatewayApp:
    """Build the application. What endpoints need must be put in before it serves."""
    app = GatewayApp(
        title="LLM Manager",
        version=_VERSION,
        description=_DESCRIPTION,
        redirect_slashes=False,
        openapi_url=None,
        # the pages of FastAPI load scripts from elsewhere; the reference is in the docs, the document at /openapi.json
        docs_url=None,
        redoc_url=None,
    )
    app.serve_document("/openapi.json")
    errors.install(app)
    drain = drain or Drain()
    app.front = Front(route for router in ROUTERS for route in router.routes)
    app.hot = Edge(answer, drain=drain, rules=ERROR_RULES, proxies=proxies)
    app.add_middleware(Edge, drain=drain, rules=ERROR_RULES, proxies=proxies)
    if cors_origins:
        # around the edge, so that pages can read errors too
        app.hot = Cors(app.hot, origins=cors_origins)
        app.add_middleware(Cors, origins=cors_origins)
    for router in (*ROUTERS, *ADMIN_ROUTERS, usage.router, health.router):
        refuse_open_doors(router)
        app.include_router(router)
    # where Groq's SDK looks for OpenAI's routes
    for router in OPENAI_ROUTERS:
        app.include_router(router, prefix="/openai", include_in_schema=False)
    return app


def refuse_open_doors(router: APIRouter) -> None:
    """Refuse to serve what is neither guarded by a permission or by whoever is logged in, nor by an API key
    (LeanRoute), nor meant for everybody.

    Raises:
        RuntimeError: there is such a route; the message names its path.
    """
    routes = [route for route in router.routes if isinstance(route, APIRoute) and not isinstance(route, LeanRoute)]
    open_doors = [route.path for route in routes if not is_guarded(route) and not _is_for_everybody(route)]
    if open_doors:
        raise RuntimeError(f"these routes name no permission (access.endpoints.Requires): {', '.join(open_doors)}")


def _is_for_everybody(route: APIRoute) -> bool:
    return {(method, route.path) for method in route.methods or ()} <= _FOR_EVERYBODY


def openapi() -> dict[str, Any]:
    """Return the OpenAPI document without starting anything."""
    return create_app().openapi()


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that serves; `grpc_port` is 0 when gRPC is off."""

    port: int
    grpc_port: int
    parts: Parts
    drain: Drain


@asynccontextmanager
async def running(
    settings: GatewaySettings, ops: Ops, *, environ: Mapping[str, str], silence_seconds: float = 7.0
) -> AsyncGenerator[Gateway]:
    """Serve while the body runs; leaving drains: new requests are refused, those in flight finish.

    Args:
        environ: where the facts' variables (OPENAI_API_KEY …) are looked up.
        silence_seconds: a worker that says nothing for so long is taken for lost.
    """
    settings.check()
    async with AsyncExitStack() as stack:
        drain = Drain()
        app = create_app(drain, cors_origins=settings.allowed_origins(), proxies=settings.proxies())
        parts = await _build(app, settings, ops, stack, environ=environ, silence_seconds=silence_seconds)
        connections = Connections(ConnectionLimits(most=settings.max_connections))
        drain.when_begun(connections.let_go)
        served = serving(app, host=settings.host, port=settings.port, on_failure=ops.fail, connections=connections)
        port = await stack.enter_async_context(served)
        grpc_port = await _serve_grpc(settings, stack, parts, drain)
        try:
            yield Gateway(port=port, grpc_port=grpc_port, parts=parts, drain=drain)
        finally:
            drain.begin()
            await drain.finished()


async def _build(
    app: FastAPI,
    settings: GatewaySettings,
    ops: Ops,
    stack: AsyncExitStack,
    *,
    environ: Mapping[str, str],
    silence_seconds: float,
) -> Parts:
    box, facts = settings.secret_box(), settings.known_facts()
    token = settings.nats_token.reveal() if settings.nats_token else None
    opening = connect(settings.nats_url, name="gateway", user=settings.nats_user, token=token, on_lost=ops.fail)
    bus = await stack.enter_async_context(opening)
    await ensure_streams(bus)
    database = await stack.enter_async_context(open_database(settings.database_url))
    bootstrap = Bootstrap(settings, database, box, facts, environ)
    catalogue = Catalogue(bus, database, prepare=bootstrap.run)
    await stack.enter_async_context(catalogue.following())
    hashes = opened(box, {name: record.envelope for name, record in catalogue.snapshot.hash_secrets.items()})
    client = WorkerClient(await stack.enter_async_context(Requester(bus, silence_seconds=silence_seconds)))
    lost = LostAttempts(bus)
    ops.add_check("bus", lambda: None if bus.state is BusState.CONNECTED else f"NATS is {bus.state}")
    ops.add_check("catalogue", catalogue.not_ready)
    parts = Parts(
        catalogue=catalogue,
        inference=Inference(client, InferenceEvents(bus), lost, facts=facts.get),
        models=ModelDirectory(catalogue, client, facts=facts.get),
        limits=Limits(settings.max_body_bytes, settings.heartbeat_seconds, settings.request_timeout_seconds),
        known_callers=KnownCallers(pepper=hashes[Purpose.API_KEY]),
    )
    PARTS.put(app, parts)
    people = build_admin(
        app,
        settings,
        ControlPlane(
            database=database,
            box=box,
            catalogue=catalogue,
            bootstrap=bootstrap,
            facts=facts,
            environ=environ,
            hashes=hashes,
            client=client,
            models=parts.models,
        ),
    )
    await stack.enter_async_context(people.purging())
    usage.REPORTS.put(app, UsageReports(await _usage_client(settings, stack), NameStore(database)))
    responses = StoredResponses(ResponseStore(database, box), retention=timedelta(hours=settings.responses_hours))
    RESPONSES.put(app, responses)
    await stack.enter_async_context(responses.purging())
    await stack.enter_async_context(lost.recording())
    if settings.probe_providers:
        prober = Prober(catalogue, parts.models, parts.inference, ProfileStore(database), facts=facts.get)
        await stack.enter_async_context(prober.probing())
    return parts


async def _usage_client(settings: GatewaySettings, stack: AsyncExitStack) -> UsageClient | None:
    if not settings.usage_address:
        return None
    opened = await stack.enter_async_context(channel(settings.usage_address, token=settings.rpc_token))
    return UsageClient(opened)


async def _serve_grpc(settings: GatewaySettings, stack: AsyncExitStack, parts: Parts, drain: Drain) -> int:
    if settings.grpc_port == 0:
        return 0
    servicer = InferenceRpc(
        parts.inference,
        parts.catalogue,
        parts.models,
        check_key=parts.caller,
        drain=drain,
        timeout_seconds=settings.request_timeout_seconds,
    )
    # no service token: callers show an API key, which the servicer checks on every call
    return await stack.enter_async_context(
        rpc_server(
            host=settings.host,
            port=settings.grpc_port,
            token=None,
            services=[servicer.register],
            service_names=[SERVICE_NAME],
        )
    )


@asynccontextmanager
async def lifespan(settings: GatewaySettings, ops: Ops) -> AsyncGenerator[None]:
    """Serve as a process of its own."""
    async with running(settings, ops, environ=os.environ):
        yield


async def _migrate(settings: GatewaySettings) -> None:
    await migrate(settings.database_url, MIGRATIONS)


def migrate_main() -> int:
    """Bring the control-plane database to its newest form and end; the gateway does the same when it starts."""
    return run_once_from_environment("gateway", GatewaySettings, _migrate)


def main() -> int:
    """Run the gateway with settings from the environment; the entry point of `llm-manager serve gateway`."""
    return run_from_environment("gateway", GatewaySettings, lifespan)
