"""What all commands' parsers have in common."""

import argparse
from typing import Any, TypeAlias


class Parser(argparse.ArgumentParser):
    """Accepts only whole option names: an abbreviation could mean something else once there are more options."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - as argparse has it
        super().__init__(**{"allow_abbrev": False, **options})


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"  # noqa: SLF001 - argparse has no public name for it
