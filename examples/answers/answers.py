"""Answers customers' questions about Larch from its handbook.

    python answers.py "How do I start the setup?"

The prompt comes from MLflow's prompt registry: `ANSWERS_PROMPT` says which version. Without it, it is the one that the
alias `production` points at.
"""

import math
import os
import sys
from pathlib import Path

import mlflow.pyfunc
import model
from mlflow.entities import Document, SpanType

PROMPT = "support-answer"
PASSAGES = 2  # how many sections of the handbook the model gets to read

HANDBOOK = Path(model.__file__).with_name("handbook.md").read_text(encoding="utf-8")  # also in the logged model
SECTIONS = [part.partition("\n\n") for part in HANDBOOK.split("\n## ")[1:]]


@mlflow.trace(span_type=SpanType.CHAIN)
def answer(question: str) -> str:
    prompt = mlflow.genai.load_prompt(os.environ.get("ANSWERS_PROMPT", f"prompts:/{PROMPT}@production"))
    passages = "\n\n".join(found.page_content for found in find(question))
    return complete(prompt.format(passages=passages, question=question))


@mlflow.trace(span_type=SpanType.RETRIEVER)
def find(question: str) -> list[Document]:
    """Return the sections that share the rarest words with the question, the best first."""
    words = [model.stems(heading + text) for heading, _, text in SECTIONS]
    asked = model.stems(question)

    def weight(stem: str) -> float:
        return math.log(len(words) / sum(stem in of for of in words))

    fit = [sum(weight(stem) for stem in asked & of) for of in words]
    best = sorted(range(len(words)), key=lambda number: -fit[number])[:PASSAGES]
    return [Document(id=SECTIONS[number][0], page_content=SECTIONS[number][2].strip()) for number in best]


@mlflow.trace(span_type=SpanType.CHAT_MODEL)
def complete(prompt: str) -> str:
    reply = model.complete(prompt)
    if span := mlflow.get_current_active_span():
        # A real model says how many tokens it read and wrote, and `mlflow.openai.autolog()` and the like log it.
        read, wrote = len(prompt.split()), len(reply.split())
        usage = {"input_tokens": read, "output_tokens": wrote, "total_tokens": read + wrote}
        span.set_attribute("mlflow.chat.tokenUsage", usage)
    return reply


class Answers(mlflow.pyfunc.PythonModel):
    """What is logged and promoted: `mlflow.pyfunc.load_model("models:/answers@champion")` answers anywhere."""

    def predict(self, model_input: list[str]) -> list[str]:
        return [answer(question) for question in model_input]


mlflow.models.set_model(Answers())

if __name__ == "__main__":
    print(answer(" ".join(sys.argv[1:])))
