"""What a preview is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from markupsafe import Markup


@dataclass(frozen=True, slots=True)
class Pictures:
    """A cell of a table that stands for a picture among the run's files, as MLflow's `log_table` writes them."""

    path: str
    thumbnail: str


Cell = str | Pictures


@dataclass(frozen=True, slots=True)
class NotebookOutput:
    """An output of a notebook's cell: text, error, html (its source), markdown, picture, or other, whose `text` names
    the types that can't be shown. A picture is at `cell` and `output`, counted from 0.
    """

    kind: str
    text: str = ""
    markup: Markup = Markup("")  # noqa: RUF009 - it can't be changed
    cell: int = 0
    output: int = 0


@dataclass(frozen=True, slots=True)
class NotebookCell:
    """A cell of a notebook: markdown, code or raw. `count` is its execution count, "" if it was not run."""

    kind: str
    text: str = ""
    markup: Markup = Markup("")  # noqa: RUF009 - it can't be changed
    count: str = ""
    outputs: Sequence[NotebookOutput] = ()


@dataclass(frozen=True, slots=True)
class FilePreview:
    """What can be shown of a file. `kind` says which of the others is: picture, html, pdf, sound, table, tree, prose,
    notebook, text or none. `source` is set if its text can be asked for, too, `cut` if only the beginning is here, and
    `remark` says what else there is to know.
    """

    kind: str
    text: str = ""
    numbers: str = ""  # of the text's lines
    rows: Sequence[Sequence[Cell]] = ()
    cells: Sequence[NotebookCell] = ()
    markup: Markup = Markup("")  # noqa: RUF009 - it can't be changed
    scripts: bool = False  # an HTML file has some
    source: bool = False
    cut: bool = False
    remark: str = ""
    size: int = 0
    facts: Mapping[str, str] | None = None

    def with_cut(self, *, cut: bool) -> Self:
        return replace(self, cut=self.cut or cut)
