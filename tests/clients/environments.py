"""The environments of the clients that a team may have."""

import ast
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parent.parent / ".venv-clients"
CLIENTS = {"mlflow-1.28": (1, 28), "mlflow-2.7": (2, 7), "mlflow-2": (2, 22), "mlflow-3": (3, 18)}
EVALUATING = {"mlflow-3.1": (3, 1), "mlflow-3.5": (3, 5), "mlflow-3.10": (3, 10), "mlflow-3.14": (3, 14)}
EVALUATING["mlflow-3"] = CLIENTS["mlflow-3"]
"""Those that trace and, from 3.5 on, evaluate prompts and agents."""
TOKEN = "glpat-of-the-client-tests-0123456789"  # gitlab-mlops wants this shape


def checks_in(folder: Path, version: tuple[int, int]) -> Iterator[str]:
    """Read from the sources which checks a client of this version has: importing them takes the client."""
    for module in sorted(folder.glob("[a-z]*.py")):
        for node in ast.parse(module.read_text()).body:
            if not isinstance(node, ast.FunctionDef):
                continue
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and isinstance(mark.func, ast.Name) and mark.func.id == "check":
                    bounds = {word.arg: ast.literal_eval(word.value) for word in mark.keywords}
                    if bounds.get("since", (0, 0)) <= version < bounds.get("before", (99, 0)):
                        yield f"{module.stem}.{node.name}"
