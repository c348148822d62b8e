"""A stand-in for a language model: it follows its prompt, needs no network and no key, and is deterministic.

It looks for three things in a prompt: how many sentences to answer in, what to say if the handbook has no answer, and
where the handbook and the question are. Without the second it says whatever fits a little, as models do. Put the client
of a real model in its place, and nothing else in this project changes.
"""

import re

COMMON = """
a about after again all also am an and any are as at be because been before but by can could did do does for from get
goes had has have how i if in into is it its larch long many may me mean means more much must my need no not of off on
one or our out should so some that the their them then there these they this to too up us use was we what when where
which while who why will with without work works would you your
"""
STOP_WORDS = frozenset(COMMON.split())
NUMBERS = {"one": 1, "two": 2, "three": 3}


def complete(prompt: str) -> str:
    instructions, _, rest = prompt.partition("Handbook:\n")
    handbook, _, question = rest.rpartition("Question:")
    limit = re.search(r"\b(one|two|three) sentences?\b", instructions)
    unknown = re.search(r"If the handbook does not say, answer: (.+)", instructions)

    asked = stems(question)

    def fit(sentence: str) -> int:
        return len(asked & stems(sentence))

    passages = [sentences(passage) for passage in handbook.split("\n\n")]
    best = max(passages, key=lambda passage: max(map(fit, passage)))
    if max(map(fit, best)) < (2 if unknown else 1):
        return unknown[1] if unknown else "I don't know."
    chosen = sorted(best, key=fit, reverse=True)[: NUMBERS[limit[1]] if limit else 3]
    return " ".join(sentence for sentence in best if sentence in chosen)


def sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.?!])\s+", " ".join(text.split()))


def stems(text: str) -> set[str]:
    """Return the words that carry meaning, without their endings."""
    words = set(re.findall(r"[a-z0-9]+", text.lower())) - STOP_WORDS
    return {re.sub(r"(?<=[a-z]{3})(ing|ed|es|s|e)$", "", word) for word in words}
