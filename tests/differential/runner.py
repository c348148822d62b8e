"""Send a seeded sequence of calls to both sides, and gather what differs."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import quote

import urllib3

from .explained import RULES
from .model import SIDES, Answer, Call, Generator, World
from .normal import normal
from .servers import TOKEN
from .spelling import respelt
from .spoil import spoiled

SHARE_SPOILED = 0.25
SHARE_RESPELT = 0.2


@dataclass
class Difference:
    number: int
    call: Call
    answers: dict[str, Any]

    def __str__(self) -> str:
        sent = {"json": self.call.json} if self.call.query is None else {"query": self.call.query}
        lines = [
            f"call {self.number}: {self.call.method} {self.call.path} {json.dumps(sent, ensure_ascii=False)[:700]}"
        ]
        lines += [f"  {side:8} {json.dumps(self.answers[side], ensure_ascii=False)[:900]}" for side in SIDES]
        return "\n".join([*lines, f"  at {_parting(*(self.answers[side] for side in SIDES))}"])


def _parting(theirs: Any, ours: Any, way: str = "$") -> str:
    """Find the first place where two answers part."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted(theirs.keys() | ours.keys()):
            if theirs.get(key) != ours.get(key):
                return _parting(theirs.get(key), ours.get(key), f"{way}.{key}")
    if isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for place, (one, other) in enumerate(zip(theirs, ours, strict=True)):
            if one != other:
                return _parting(one, other, f"{way}[{place}]")
    shown = [json.dumps(one, ensure_ascii=False)[:200] for one in (theirs, ours)]
    return f"{way}: {shown[0]} | {shown[1]}"


@dataclass
class Outcome:
    calls: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    def __str__(self) -> str:
        total = sum(self.calls.values())
        least, count = min(self.calls.items(), key=lambda item: item[1])
        return (
            f"{total} calls of {len(self.calls)} endpoints ({count} of the rarest, {least}), "
            f"{100 * self.refused / total:.0f} % refused; {sum(self.rules.values())} differences explained by "
            f"{len(self.rules)} rules, {len(self.differences)} not explained"
        )


def run(urls: dict[str, str], generators: Sequence[Generator], *, seed: int, calls: int) -> Outcome:
    world, outcome = World(Random(seed)), Outcome()
    pools = {side: urllib3.PoolManager(retries=False, timeout=60) for side in SIDES}
    with ThreadPoolExecutor(len(SIDES)) as both:
        for number, call in enumerate(_sequence(world, generators, calls)):
            sent = {side: both.submit(_send, pools[side], urls[side], call, world, side) for side in SIDES}
            answers = {side: sent[side].result() for side in SIDES}
            _learn(world, call, answers)
            outcome.calls[call.endpoint] += 1
            outcome.refused += answers["mlflow"].status >= 400
            seen = {side: normal(answers[side], world, side) for side in SIDES}
            for rule in RULES:
                if seen["mlflow"] == seen["mltrail"]:
                    break
                theirs, ours = rule.explain(call, seen["mlflow"], seen["mltrail"])
                if (theirs, ours) != (seen["mlflow"], seen["mltrail"]):
                    outcome.rules[rule.name] += 1
                    seen = {"mlflow": theirs, "mltrail": ours}
            if seen["mlflow"] != seen["mltrail"]:
                outcome.differences.append(Difference(number, call, seen))
    return outcome


def _sequence(world: World, generators: Sequence[Generator], calls: int) -> Iterator[Call]:
    """Generators take turns in random order, so that none is rare."""
    made = 0
    while made < calls:
        turn = list(generators)
        world.rng.shuffle(turn)
        for generate in turn:
            call = generate(world)
            call = spoiled(world, call) if world.rng.random() < SHARE_SPOILED else call
            yield respelt(world, call) if world.rng.random() < SHARE_RESPELT else call
            made += 1


def _send(pool: urllib3.PoolManager, url: str, call: Call, world: World, side: str) -> Answer:
    headers = {"Authorization": f"Bearer {TOKEN}"} if side == "mltrail" else {}
    target = f"{url}/{quote(world.resolved(call.path, side), safe='/%')}"
    options: dict[str, Any] = {}
    if call.query is not None:
        query = world.resolved(call.query, side)
        options["fields"] = [
            (key, str(one)) for key, value in query.items() for one in (value if isinstance(value, list) else [value])
        ]
    elif call.data is not None:
        options["body"] = call.data
    else:
        options["body"] = json.dumps(world.resolved(call.json, side)).encode()
        headers["Content-Type"] = "application/json"
    try:
        response = pool.request(call.method, target, headers=headers, **options)
    except urllib3.exceptions.ProtocolError:
        # After a crash MLflow hangs up, and the next call finds a dead connection.
        response = pool.request(call.method, target, headers=headers, **options)
    try:
        body = json.loads(response.data)
    except ValueError:
        body = response.data.decode(errors="replace")
    return Answer(response.status, body)


def _learn(world: World, call: Call, answers: dict[str, Answer]) -> None:
    if call.learns is None or any(answer.status != 200 for answer in answers.values()):
        return
    kind, way = call.learns
    ids = {}
    for side, answer in answers.items():
        value = answer.body
        for key in way:
            value = json.loads(value) if isinstance(value, str) else value  # records travel as JSON within a text
            if isinstance(value, list) and not value:
                return
            value = value[key]
        ids[side] = value
    world.learn(kind, ids, call.within)
