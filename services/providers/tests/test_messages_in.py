"""What a message of the bus says of its target reaches the job."""

from __future__ import annotations

from llm_manager.contracts.inference.v1 import infer_pb2
from llm_manager.providers.job import Target
from llm_manager.providers.messages_in import job_of


def test_target_is_taken_over_as_a_whole() -> None:
    sent = infer_pb2.Target(
        provider="mine",
        kind="custom",
        base_url="http://a.example",
        credential=b"c",
        upstream_model="m",
        headers={"x-a": "1"},
        timeouts=infer_pb2.Timeouts(idle_ms=1500),
        sealed_headers=b"h",
        paths={"chat": "/mine"},
        is_trusted=True,
    )
    job = job_of(infer_pb2.InferRequest(target=sent, models=infer_pb2.ModelsInput()))

    assert job.target == Target(
        provider="mine",
        kind="custom",
        base_url="http://a.example",
        credential=b"c",
        upstream_model="m",
        headers={"x-a": "1"},
        timeouts={"idle": 1.5},
        sealed_headers=b"h",
        paths={"chat": "/mine"},
        is_trusted=True,
    )


def test_older_gateway_that_says_less_is_not_trusted() -> None:
    job = job_of(infer_pb2.InferRequest(target=infer_pb2.Target(kind="custom"), models=infer_pb2.ModelsInput()))

    assert (job.target.is_trusted, job.target.sealed_headers, job.target.paths) == (False, b"", {})
