"""Answer the golden set with this checkout's prompt, grade each answer, and log everything with MLflow.

    python evaluate.py

The environment says where MLflow logs to (MLFLOW_TRACKING_URI); nothing here depends on it.
"""

import json
import os
from pathlib import Path

import mlflow.pyfunc
from answers import PASSAGES, PROMPT, answer
from mlflow.entities.model_registry import PromptVersion
from scorers import brevity, correctness, grounded

HERE = Path(__file__).parent


def main() -> None:
    mlflow.set_experiment("answers")
    prompt = registered_prompt()
    os.environ["ANSWERS_PROMPT"] = prompt.uri
    with mlflow.start_run():
        mlflow.log_param("passages", PASSAGES)
        mlflow.pyfunc.log_model(
            name="answers",
            python_model=str(HERE / "answers.py"),
            code_paths=[str(HERE / "model.py"), str(HERE / "handbook.md")],
            pip_requirements=["mlflow-skinny", "pandas"],
        )
        result = mlflow.genai.evaluate(data=golden_set(), predict_fn=answer, scorers=[correctness, grounded, brevity])
    print(f"{PROMPT} version {prompt.version}:", *(f"{name} {value:.3f}" for name, value in result.metrics.items()))


def registered_prompt() -> PromptVersion:
    """Return the registered version of prompt.txt. A new one is made only if its text is new."""
    template = (HERE / "prompt.txt").read_text(encoding="utf-8")
    if mlflow.genai.load_prompt(f"prompts:/{PROMPT}@latest", allow_missing=True) is not None:
        for version in mlflow.MlflowClient().search_prompt_versions(PROMPT):
            if version.template == template:
                return version
    return mlflow.genai.register_prompt(PROMPT, template)


def golden_set() -> list[dict[str, dict[str, object]]]:
    """Return the cases: each has `inputs`, the arguments of `answer`, and `expectations` for the scorers."""
    return [json.loads(line) for line in (HERE / "golden.jsonl").read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
