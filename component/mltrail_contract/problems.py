"""What is wrong with a contract file, and where."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """`line` and `column` count from 1; `key` is the path to the value, such as `models.churn.rules[0].better`."""

    line: int
    column: int
    key: str
    message: str

    @property
    def sentence(self) -> str:
        """What is wrong, and with which key, but not where."""
        return f"{self.key}: {self.message}" if self.key else self.message

    def __str__(self) -> str:
        return f"line {self.line}: {self.sentence}"


class ContractError(Exception):
    """The file is not a contract. All problems are reported at once, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(map(str, self.problems)))
