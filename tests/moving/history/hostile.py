"""Names and texts that break what does not quote, escape, fold or count with care."""

from random import Random

TEXTS = (
    "plain",
    "",
    " ",
    "  blanks at both ends  ",
    "Grüße aus Köln",
    "日本語のテキスト",
    "مرحبا بالعالم",
    "🚀🧪 family: 👩‍👩‍👧‍👦",
    "e\u0301 is not \u00e9",
    'it\'s "quoted" `thrice`',
    "100% of_all \\ %s %(x)s {y} ${z}",
    "<script>alert(1)</script> & <b>bold</b>",
    "'; DROP TABLE runs; --",
    "two\nlines\tand a tab\r\n",
    "null",
    "NULL",
    "None",
    "NaN",
    "true",
    "-0",
    "1e400",
    "[1, 2",
    '{"json": [1, null, "\\u00e9"]}',
    "\u202eright to left",
    "zero\u200bwidth\ufeff",
    "../../etc/passwd",
    "C:\\Windows\\System32",
    "https://example.org/?a=b&c=d#e",
    "line\u2028separator",
    "\x01\x1b[31mcontrol\x7f",
)
KEYS = (
    *(
        "lr",
        "batch size",
        "optimizer.name",
        "model/depth",
        "a-b_c.d",
        "UPPER",
        "upper",
        "päram",
        "β",
        "日本",
        "0",
        "1.5",
    ),
    *("x" * 250, "select", "order", "a/b/c/d", "with  two  blanks", "-dash", "_underscore", "trailing-"),
)
EXPERIMENTS = (
    *("churn", "Churn", "a/b/c", "ä ö ü ß", "日本語", "🚀", 'it\'s "quoted"', "100% of_all", "<b>bold</b>"),
    *("  blanks  ", "x" * 250, "a\\b", "?query#fragment&x=1", "[brackets]", "e\u0301", "'; --", "..", "0", "true"),
)
MODELS = (
    *("churn", "Churn", "ä ö ü ß", "日本語", "🚀 rocket", 'it\'s "quoted"', "100% of_all", "<b>bold", "x" * 200),
    *("a.b-c_d", "?query#fragment&x=1", "[brackets]", "e\u0301", "'; --", "1", "true", "a\\b", "with  two  blanks"),
)
PATHS = (
    *("model/MLmodel", "model/data/model.pkl", "empty.txt", "ä ö/日本/🚀.txt", "a b/c%20d/e+f.txt", "it's.txt"),
    *(
        "deep/a/b/c/d/e/f/g/h.bin",
        "#hash?query.txt",
        ".hidden",
        "no_suffix",
        "UPPER/upper.TXT",
        "e\u0301.txt",
        "x" * 100,
    ),
)
VALUES = (
    *(float("nan"), float("inf"), float("-inf"), -0.0, 0.0, 5e-324, -5e-324, 1e308, -1e308, 1.7976931348623157e308),
    *(0.1, 1 / 3, 1e-17, 123456789.123456789, 2.0**53 + 1, -1.0, 1.0),
)
TIMES_MS = (1, 1_000, 1_650_000_000_123, 1_650_000_000_123, 4_102_444_800_000, 9_999_999_999_999)
USERS = ("ada", "", "Grüße", "ci-bot@example.org", "x" * 200, "root")


def text(rng: Random, longest: int) -> str:
    kind = rng.random()
    if kind < 0.02:
        return "ß" * longest
    if kind < 0.04:
        return "".join(chr(rng.randrange(0x20, 0x7F)) for _ in range(longest))
    return rng.choice(TEXTS)


def keys(rng: Random, most: int) -> list[str]:
    return rng.sample(KEYS, rng.randrange(min(most, len(KEYS)) + 1))
