"""Write what was asked for; folders are made."""

from pathlib import Path

from mltrail_ci.errors import usage


def write(path: str | None, text: str) -> None:
    """Do nothing where no path was given."""
    if not path:
        return
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise usage(f"Can't write {path}: {error.strerror}.") from error
