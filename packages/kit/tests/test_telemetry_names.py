from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

from llm_manager.kit import telemetry_names as names

UNITS = {"s": "_seconds", "{token}": ""}


def test_names_of_generative_ai_are_the_conventions_own() -> None:
    ours = {value for name, value in vars(names).items() if name.startswith("GEN_AI_") and isinstance(value, str)}
    theirs = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}

    assert ours
    assert ours <= theirs


def test_metrics_of_generative_ai_are_the_conventions_own_in_prometheus_form() -> None:
    theirs = {
        value.replace(".", "_") + unit
        for name, value in vars(gen_ai_metrics).items()
        if name.startswith("GEN_AI_") and isinstance(value, str)
        for unit in UNITS.values()
    }
    ours: list[str] = [
        next(iter(metric.describe())).name
        for name, metric in vars(names).items()
        if name.startswith("GEN_AI_") and isinstance(metric, MetricWrapperBase)
    ]

    assert len(ours) == 5
    assert set(ours) <= theirs


def test_recorded_values_are_in_the_registry() -> None:
    labels = {"gen_ai_operation_name": "chat", "gen_ai_provider_name": "test", "gen_ai_request_model": "test-names"}

    names.GEN_AI_CLIENT_TOKEN_USAGE.labels(**labels, gen_ai_token_type="input").observe(12)

    sample = REGISTRY.get_sample_value("gen_ai_client_token_usage_sum", {**labels, "gen_ai_token_type": "input"})
    assert sample == 12


def test_spans_are_named_by_template_and_operation() -> None:
    assert names.span_of_http("GET", "/v1/models/{id}") == "GET /v1/models/{id}"
    assert names.span_of_inference("chat", "gpt-4o") == "chat gpt-4o"
