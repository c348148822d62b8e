"""Write the tables of options into docs/reference/cli.md; a test compares the page with the command's options."""

import argparse
import re
from pathlib import Path

from mltrail_ci import naming
from mltrail_ci.cli import module_of
from mltrail_server.cli import parser_of_all

PAGE = Path(__file__).parents[1] / "docs/reference/cli.md"
_TABLE = re.compile(r"(<!-- options of (?P<command>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_OF_SERVER = re.compile(r"(<!-- options of mltrail-server (?P<command>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_NAMES = re.compile(r"(<!-- names of models -->\n).*?(<!-- end -->)", re.DOTALL)
_MODELS = ("churn", "churn-eu", "churn_eu", "fraud.v2", "Churn", "früh warnung", "流失模型")


def page() -> str:
    """The page with up-to-date tables."""
    text = _TABLE.sub(lambda found: f"{found[1]}{_table(found['command'])}{found[3]}", PAGE.read_text())
    text = _OF_SERVER.sub(lambda found: f"{found[1]}{_table_of_server(found['command'])}{found[3]}", text)
    return _NAMES.sub(lambda found: f"{found[1]}{_names()}{found[2]}", text)


def _names() -> str:
    rows = ["| Model | Variable | Environment | Tag of 1.0.0 |", "|---|---|---|---|"]
    for model in _MODELS:
        made = (f"MLTRAIL_VERSION_{naming.variable(model)}", naming.environment(model), naming.tag(model, "1.0.0"))
        rows.append("| " + " | ".join(f"`{name}`" for name in (model, *made)) + " |")
    return "\n".join(rows) + "\n"


def _table(command: str) -> str:
    parser = argparse.ArgumentParser(add_help=False)
    module_of(command).arguments(parser)
    return _rows(parser)


def _table_of_server(command: str) -> str:
    (commands,) = (one for one in parser_of_all()._actions if isinstance(one, argparse._SubParsersAction))  # noqa: SLF001 - argparse has no public list
    return _rows(commands.choices[command])


def _rows(parser: argparse.ArgumentParser) -> str:
    rows = ["| Option | Meaning |", "|---|---|"]
    for action in parser._actions:  # noqa: SLF001 - argparse has no public list of options
        if action.help is argparse.SUPPRESS or isinstance(action, argparse._HelpAction):  # noqa: SLF001
            continue
        values = "\\|".join(action.choices or ()) or action.metavar or ("" if action.nargs == 0 else "NAME")
        values = f"[{values}]" if action.nargs == "?" else values
        names = [*action.option_strings[:1], str(values)]
        rows.append(f"| `{' '.join(filter(None, names))}` | {action.help} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
