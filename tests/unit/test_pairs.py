from mltrail_server.domain.pairs import Pairs


def test_what_goes_in_comes_out() -> None:
    items = [("a", 'quote " and \\ and \u2028'), ("b\n", ""), ("ключ", "\0")]
    pairs = Pairs.of(items)
    assert list(pairs) == items
    assert len(pairs) == 3
    assert pairs
    assert not Pairs()
