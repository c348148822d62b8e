"""What libraries other than MLflow say about a span, in MLflow's terms.

OpenTelemetry's conventions for generative AI (https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/),
OpenInference's (https://arize-ai.github.io/openinference/spec/semantic_conventions.html) and OpenLLMetry's name
attributes of their own for inputs, outputs, tokens and the kind of a step.
"""

from collections.abc import Mapping
from typing import Any

from . import span_facts

MODEL = "mlflow.llm.model"
PROVIDER = "mlflow.llm.provider"

# In the order in which they are looked for.
_TYPES: tuple[tuple[str, Mapping[str, str]], ...] = (
    (
        "openinference.span.kind",
        {
            name: name
            for name in (
                "TOOL",
                "CHAIN",
                "LLM",
                "RETRIEVER",
                "EMBEDDING",
                "AGENT",
                "RERANKER",
                "GUARDRAIL",
                "EVALUATOR",
            )
        },
    ),
    (
        "gen_ai.operation.name",
        {
            "chat": "CHAT_MODEL",
            "create_agent": "AGENT",
            "embeddings": "EMBEDDING",
            "execute_tool": "TOOL",
            "generate_content": "LLM",
            "invoke_agent": "AGENT",
            "response": "LLM",
            "text_completion": "LLM",
        },
    ),
    ("traceloop.span.kind", {"workflow": "WORKFLOW", "task": "TASK", "agent": "AGENT", "tool": "TOOL"}),
)
_INPUTS = ("input.value", "gen_ai.input.messages", "gen_ai.tool.call.arguments", "traceloop.entity.input")
_OUTPUTS = ("output.value", "gen_ai.output.messages", "gen_ai.tool.call.result", "traceloop.entity.output")
_MODELS = (
    "llm.response.model_name",
    "llm.model_name",
    "llm.request.model_name",
    "embedding.model_name",
    "gen_ai.response.model",
    "gen_ai.request.model",
)
_PROVIDERS = ("llm.provider", "gen_ai.provider.name", "gen_ai.system")
_TOKENS: tuple[Mapping[str, str], ...] = (
    {
        "input_tokens": "llm.token_count.prompt",
        "output_tokens": "llm.token_count.completion",
        "total_tokens": "llm.token_count.total",
        "cache_read_input_tokens": "llm.token_count.prompt_details.cache_read",
        "cache_creation_input_tokens": "llm.token_count.prompt_details.cache_write",
    },
    {
        "input_tokens": "gen_ai.usage.input_tokens",
        "output_tokens": "gen_ai.usage.output_tokens",
        "cache_read_input_tokens": "gen_ai.usage.cache_read.input_tokens",
        "cache_creation_input_tokens": "gen_ai.usage.cache_creation.input_tokens",
    },
    {
        "input_tokens": "gen_ai.usage.prompt_tokens",
        "output_tokens": "gen_ai.usage.completion_tokens",
        "total_tokens": "llm.usage.total_tokens",
    },
)
_PREFIXES = ("openinference.", "gen_ai.", "traceloop.", "llm.", "input.", "output.", "embedding.")


def translated(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return MLflow's attributes that a span lacks, as far as its own say the same by other names."""
    if not any(key.startswith(_PREFIXES) for key in attributes):
        return {}
    found: dict[str, Any] = {}
    if attributes.get(span_facts.TYPE) in (None, span_facts.UNKNOWN_TYPE) and (kind := _type(attributes)):
        found[span_facts.TYPE] = kind
    for name, keys in (
        (span_facts.INPUTS, _INPUTS),
        (span_facts.OUTPUTS, _OUTPUTS),
        (MODEL, _MODELS),
        (PROVIDER, _PROVIDERS),
    ):
        value = next((attributes[key] for key in keys if attributes.get(key)), None)
        if name not in attributes and value is not None:
            found[name] = value
    if span_facts.TOKENS not in attributes and (tokens := _tokens(attributes)):
        found[span_facts.TOKENS] = tokens
    return found


def _type(attributes: Mapping[str, Any]) -> str | None:
    for key, kinds in _TYPES:
        value = attributes.get(key)
        if isinstance(value, str) and value in kinds:
            return kinds[value]
    return None


def _tokens(attributes: Mapping[str, Any]) -> dict[str, int]:
    for names in _TOKENS:
        found = {name: _number(attributes.get(key)) for name, key in names.items()}
        tokens = {name: value for name, value in found.items() if value is not None}
        if not {"input_tokens", "output_tokens", "total_tokens"}.intersection(tokens):
            continue
        if "total_tokens" not in tokens and {"input_tokens", "output_tokens"} <= tokens.keys():
            tokens["total_tokens"] = tokens["input_tokens"] + tokens["output_tokens"]
        return tokens
    return {}


def _number(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
