"""A worker of your own: serves the kind `reverse` on the bus, with nothing but a NATS client and the contracts.

    python worker.py --nats-url nats://127.0.0.1:4222 --nats-user providers --nats-token …

Its provider is a toy (it says your words backwards), the conversation with the platform is the real one: accept,
numbered frames, one usage event before the one terminal frame, cancel, deadlines, refusals. `llm-manager-conformance
--kind reverse` checks it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import time
from dataclasses import dataclass, field

import nats
from google.protobuf.message import DecodeError
from nats.aio.client import Client
from nats.aio.msg import Msg

from llm_manager.contracts.bus.v1.frame_pb2 import Accepted, Cancel, Failed, Frame, Heartbeat
from llm_manager.contracts.errors.v1.error_pb2 import Error
from llm_manager.contracts.inference.v1.chat_pb2 import AnswerInfo, ChatInput, Delta, Embedding, EmbeddingsInput, Finish
from llm_manager.contracts.inference.v1.infer_pb2 import Chunk, Done, InferRequest
from llm_manager.contracts.usage.v1 import event_pb2
from llm_manager.contracts.usage.v1.event_pb2 import Cost, Usage, UsageRecorded

KIND = "reverse"
WORKER_ID = f"reverse-{os.getpid()}"
HEARTBEAT_SECONDS = 2.0
WORD_SECONDS = 0.002


class Refused(Exception):
    """The request cannot be served; `code` is one of the platform's error codes (docs/reference/errors.md)."""

    def __init__(self, code: str, message: str, *, http_status: int = 400, param: str = "") -> None:
        super().__init__(message)
        self.error = Error(code=code, message=message, http_status=http_status, param=param)


@dataclass
class Answer:
    """The writing end of one answer: numbers the frames and sends exactly one terminal one."""

    client: Client
    inbox: str
    sequence: int = 0
    last_sent: float = field(default_factory=time.monotonic)

    async def send(self, frame: Frame) -> None:
        """Send the next frame."""
        frame.sequence = self.sequence
        self.sequence += 1
        self.last_sent = time.monotonic()
        await self.client.publish(self.inbox, frame.SerializeToString())

    async def beat(self) -> None:
        """Keep a silent answer alive until cancelled."""
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS / 4)
            if time.monotonic() - self.last_sent >= HEARTBEAT_SECONDS:
                await self.send(Frame(heartbeat=Heartbeat()))


class Worker:
    """Serves requests, each in a task of its own."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Listen for requests and cancellations."""
        await self.client.subscribe(f"llm.v1.cancel.{WORKER_ID}", cb=self.on_cancel)
        await self.client.subscribe(f"llm.v1.infer.{KIND}", queue="providers", cb=self.on_request)
        await self.client.flush()

    async def on_cancel(self, message: Msg) -> None:
        """Stop one request; its task still records what was used and sends the terminal frame."""
        task = self.tasks.get(Cancel.FromString(message.data).request_id)
        if task is not None:
            task.cancel()

    async def on_request(self, message: Msg) -> None:
        """Take a request."""
        request_id = (message.headers or {}).get("Request-Id", "")
        seconds = int((message.headers or {}).get("Timeout-Ms", "600000")) / 1000
        task = asyncio.create_task(self.answer(message, seconds))
        self.tasks[request_id] = task
        task.add_done_callback(lambda _: self.tasks.pop(request_id, None))

    async def answer(self, message: Msg, seconds: float) -> None:
        """Answer one request from the first frame to the terminal one."""
        answer = Answer(self.client, message.reply)
        await answer.send(Frame(accepted=Accepted(worker_id=WORKER_ID)))
        heartbeat = asyncio.create_task(answer.beat())
        request, used, error = InferRequest(), Usage(), None
        started = time.time()
        try:
            async with asyncio.timeout(seconds):
                request = read(message.data)
                await serve(request, answer, used)
        except Refused as refusal:
            error = refusal.error
        except TimeoutError:
            error = Error(code="deadline_exceeded", message="The time for the attempt was over.", http_status=504)
        except asyncio.CancelledError:
            error = Error(code="cancelled", message="The request was withdrawn.", http_status=499)
        heartbeat.cancel()
        done = Done(event=await self.record(request, used, error, started))
        if error is None:
            await answer.send(Frame(done=done.SerializeToString()))
        else:
            await answer.send(Frame(failed=Failed(error=error, detail=done.SerializeToString())))

    async def record(self, request: InferRequest, used: Usage, error: Error | None, started: float) -> UsageRecorded:
        """Publish what the attempt used, and wait until the stream has it: only then may the terminal frame go out."""
        asked, target = request.attribution, request.target
        states = {None: event_pb2.ATTEMPT_STATE_OK, "cancelled": event_pb2.ATTEMPT_STATE_CANCELLED}
        is_counted = bool(used.output_text or used.input_uncached)
        event = UsageRecorded(
            event_id=asked.attempt_id,
            request_id=asked.request_id,
            attempt=asked.attempt,
            duration_ms=int((time.time() - started) * 1000),
            app_id=asked.app_id,
            api_key_id=asked.api_key_id,
            requested_model=asked.requested_model,
            configuration=asked.configuration,
            provider=target.provider,
            provider_kind=KIND,
            upstream_model=target.upstream_model,
            response_model=target.upstream_model,
            operation="embeddings" if request.WhichOneof("input") == "embeddings" else "chat",
            is_stream=request.is_stream,
            state=states.get(error.code if error else None, event_pb2.ATTEMPT_STATE_ERROR),
            error_code=error.code if error else "",
            usage=used,
            usage_source=event_pb2.USAGE_SOURCE_PROVIDER if is_counted else event_pb2.USAGE_SOURCE_NONE,
            # No price is known here. Say so: a price of zero would be a lie that budgets believe.
            cost=Cost(state=event_pb2.COST_STATE_UNPRICED),
            end_user=asked.end_user,
            tags=dict(asked.tags),
        )
        event.started_at.FromMilliseconds(int(started * 1000))
        if asked.attempt_id:
            subject = f"llm.v1.usage.recorded.{asked.app_id}"
            headers = {"Nats-Msg-Id": event.event_id}
            await self.client.jetstream().publish(subject, event.SerializeToString(), timeout=4, headers=headers)
        return event


def read(payload: bytes) -> InferRequest:
    """Parse a request, or say what is wrong with it."""
    try:
        request = InferRequest.FromString(payload)
    except DecodeError:
        raise Refused("invalid_request", "The message is no InferRequest.") from None
    match request.WhichOneof("input"):
        case "chat":
            refuse_unknown(request.chat.extension)
        case "embeddings":
            refuse_unknown(request.embeddings.extension)
        case None:
            raise Refused("invalid_request", "The InferRequest has no input.", param="input")
        case other:
            raise Refused("unsupported_parameter", f"This worker does not offer {other}.", param="model")
    return request


def refuse_unknown(extension: bytes) -> None:
    """Refuse every parameter beyond the neutral ones: this provider knows none, and nothing is dropped in silence."""
    for name in json.loads(extension or b"{}"):
        raise Refused("unsupported_parameter", f"{KIND} does not know {name!r}; remove it.", param=name)


async def serve(request: InferRequest, answer: Answer, used: Usage) -> None:
    """Call the provider; `used` is filled on the way, so that a cancelled attempt can be accounted for."""
    used.requests = 1
    if request.WhichOneof("input") == "embeddings":
        await embed(request.embeddings, answer, used)
        return
    await chat(request.chat, request, answer, used)


async def chat(asked: ChatInput, request: InferRequest, answer: Answer, used: Usage) -> None:
    """Say the last message backwards, word by word."""
    texts = [part.text for message in asked.messages for part in message.parts if part.WhichOneof("kind") == "text"]
    used.input_uncached = sum(len(text.split()) for text in texts)
    words = list(reversed((texts[-1] if texts else "").split()))
    info = AnswerInfo(id=f"reverse-{request.attribution.attempt_id}", model=request.target.upstream_model)
    info.created = int(time.time())
    pieces = [f"{word} " for word in words] if request.is_stream else [" ".join(words)]
    for number, piece in enumerate(pieces):
        await asyncio.sleep(WORD_SECONDS)
        used.output_text += len(piece.split())
        # from its characters a caller that loses this worker estimates what was used
        chunk = Chunk(deltas=[Delta(text=piece)], characters=len(piece))
        if number == 0:
            chunk.info.CopyFrom(info)
        await answer.send(Frame(message=chunk.SerializeToString()))
    finish = Chunk(deltas=[Delta(finish=Finish(reason="stop", native_reason="stop"))])
    if not pieces:
        finish.info.CopyFrom(info)
    await answer.send(Frame(message=finish.SerializeToString()))


async def embed(asked: EmbeddingsInput, answer: Answer, used: Usage) -> None:
    """Turn texts into small vectors that depend on their letters only."""
    used.input_uncached = sum(len(text.split()) for text in asked.texts)
    vectors = [
        Embedding(values=[float(text.count(letter)) for letter in "aeiounrst"] + [float(len(text))])
        for text in asked.texts
    ]
    await answer.send(Frame(message=Chunk(embeddings=vectors).SerializeToString()))


async def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--nats-url", default="nats://127.0.0.1:4222")
    parser.add_argument("--nats-user", default=None, help="user of a bus with users; the token is its password")
    parser.add_argument("--nats-token", default=None)
    options = parser.parse_args()
    user = options.nats_user
    # each user reads the inboxes below its own name only
    login = {"user": user, "password": options.nats_token, "inbox_prefix": f"_INBOX.{user}"} if user else {}
    client = await nats.connect(options.nats_url, name=WORKER_ID, **(login or {"token": options.nats_token}))
    await Worker(client).start()
    print(f"{WORKER_ID} serves {KIND}", flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await client.drain()


if __name__ == "__main__":
    asyncio.run(main())
