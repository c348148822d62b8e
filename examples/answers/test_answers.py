"""What must never break, as tests. `@mlflow.test` links the traces to the test that made them.

pytest
"""

from collections.abc import Iterator

import mlflow
import pytest
from answers import answer
from evaluate import registered_prompt
from scorers import correctness, grounded


@pytest.fixture(autouse=True, scope="session")
def tracked_prompt() -> Iterator[None]:
    mlflow.set_experiment("answers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANSWERS_PROMPT", registered_prompt().uri)
        yield


@pytest.mark.parametrize(
    ("question", "fact"),
    [
        pytest.param("Must the boiler be off before I touch the wires?", "at the fuse", id="fuse"),
        pytest.param("Can frost protection be switched off?", "cannot", id="frost"),
        pytest.param("Is water damage covered by the warranty?", "not covered", id="water"),
        pytest.param("What is the capital of France?", "I don't know", id="France"),
    ],
)
@mlflow.test
def test_always(question: str, fact: str) -> None:
    case = {"inputs": {"question": question}, "expectations": {"facts": [fact]}}
    result = mlflow.genai.evaluate(data=[case], predict_fn=answer, scorers=[correctness, grounded])
    assert result.passed, result.reason
