import json

import pytest

from mltrail_server.domain.pairs import Pairs


def test_what_goes_in_comes_out() -> None:
    items = [("a", 'quote " and \\ and \u2028'), ("b\n", ""), ("ключ", "\0")]
    pairs = Pairs.of(items)
    assert list(pairs) == items
    assert len(pairs) == 3
    assert pairs
    assert not Pairs()


@pytest.mark.parametrize("text", ["", '"quoted" \\ {brace}', "\n\t\0\x1f", "größe 日本 \U0001f600 \u2028 \ud800"])
def test_pairs_are_written_as_json_dumps_would_write_them(text: str) -> None:
    for items in ([(text, "1")], [("a", text), (text, text)]):
        assert Pairs.of(items).json == json.dumps([{"key": key, "value": value} for key, value in items])
