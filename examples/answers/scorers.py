"""What makes an answer good. Each scorer grades one answer; none of them needs a model."""

from mlflow.entities import Feedback, SpanType, Trace
from mlflow.genai import scorer
from model import sentences

WORDS = 12  # for the best mark
MORE_WORDS = 6  # for each mark less


@scorer
def correctness(outputs: str, expectations: dict[str, list[str]]) -> Feedback:
    """Whether the answer has all the facts that the golden set expects."""
    missing = [fact for fact in expectations["facts"] if fact.lower() not in outputs.lower()]
    return Feedback(value=not missing, rationale=f"missing: {', '.join(missing)}" if missing else "has all facts")


@scorer
def grounded(outputs: str, trace: Trace) -> bool:
    """Whether the answer says only what the handbook says, or admits that it does not know."""
    searches = trace.search_spans(span_type=SpanType.RETRIEVER)
    found = " ".join(document["page_content"] for search in searches for document in search.outputs)
    return outputs.startswith("I don't know") or all(said in sentences(found) for said in sentences(outputs))


@scorer
def brevity(outputs: str) -> int:
    """From 5 (short) to 1 (who is going to read that?)."""
    return max(1, 5 - max(0, len(outputs.split()) - WORDS) // MORE_WORDS)
