"""Print the table of settings for docs/reference/settings.md; a test compares the page with it."""

from dataclasses import fields

from mltrail_server.settings import Settings


def table() -> str:
    rows = ["| Variable | Meaning |", "|---|---|"]
    for one in fields(Settings):
        secret = " *(secret)*" if one.metadata["secret"] else ""
        default = f" Default: `{one.default}`." if one.default else ""
        rows.append(f"| `{one.metadata['variable']}` | {one.metadata['meaning']}.{default}{secret} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
