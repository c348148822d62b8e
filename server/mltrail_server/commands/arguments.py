"""What all commands' parsers have in common."""

import argparse
from typing import Any, TypeAlias


class Parser(argparse.ArgumentParser):
    """Accepts only whole option names: an abbreviation could mean something else once there are more options."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - as argparse has it
        super().__init__(**{"allow_abbrev": False, **options})


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"  # noqa: SLF001 - argparse has no public name for it


def port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:9]) < 65_536):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; a port is a number from 0 to 65535")
    return int(text)


def address(text: str) -> tuple[str, int]:
    """Read HOST:PORT; an IPv6 address may be in brackets."""
    host, colon, number = text.rpartition(":")
    if not (colon and host):
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, such as 127.0.0.1:5001")
    return host.removeprefix("[").removesuffix("]"), port(number)
