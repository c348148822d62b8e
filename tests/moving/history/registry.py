"""Registered models with versions that have gaps, aliases, stages and tags; and prompts."""

import json

from history.hostile import MODELS, keys, text
from history.place import Place
from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag

STAGES = ("None", "Staging", "Production", "Archived")
ALIASES = ("champion", "challenger", "a-b_c", "ÄÖ", "日本", "x" * 200, "UPPER", "upper")
PROMPTS = ("summarize", "Summarize", "a.b-c_d.prompt", "judge")


def fill(place: Place) -> None:
    for name in MODELS:
        _add_model(place, name)
    if place.since(2, 21):
        for name in PROMPTS:
            _add_prompt(place, name)


def _add_model(place: Place, name: str) -> None:
    rng = place.rng
    tags = [RegisteredModelTag(key, text(rng, 5000)) for key in keys(rng, 4)]
    place.registry.create_registered_model(name, tags, rng.choice((None, "", text(rng, 5000))))
    versions = rng.randrange(7)
    for _ in range(versions):
        add_version(place, name)
    for number in rng.sample(range(1, versions + 1), versions // 3):
        place.registry.delete_model_version(name, number)
    left = [int(one.version) for one in _versions(place, name)]
    for number in left:
        if place.chance(0.5):
            place.registry.transition_model_version_stage(name, str(number), rng.choice(STAGES), False)
        if place.chance(0.3):
            place.registry.update_model_version(name, str(number), text(rng, 5000))
    if place.since(2, 3) and left:
        for alias in rng.sample(ALIASES, rng.randrange(len(ALIASES))):
            place.registry.set_registered_model_alias(name, alias, str(rng.choice(left)))
            place.counts["aliases"] += 1
    if place.chance(0.2):
        place.registry.rename_registered_model(name, f"{name} renamed")
    place.counts.update({"models": 1, "versions": len(left), "deleted versions": versions - len(left)})


def _versions(place: Place, name: str) -> list[object]:
    if place.since(2, 0):
        return (
            list(place.registry.search_model_versions(f"name = '{name}'", 1000))
            if "'" not in name
            else [one for one in place.registry.search_model_versions(None, 1000) if one.name == name]
        )
    return [one for one in place.registry.search_model_versions("") if one.name == name]


def add_version(place: Place, name: str) -> None:
    rng = place.rng
    run_id = rng.choice(place.with_model if place.with_model and place.chance(0.8) else place.runs)
    uri = place.tracking.get_run(run_id).info.artifact_uri
    sources = [(f"{uri}/model", run_id), (f"runs:/{run_id}/model", run_id), (f"{uri}/model", None), (uri, run_id)]
    sources += [("s3://bucket/a b/model", run_id), (f"{uri}/nothing here", None)] if place.chance(0.3) else []
    if place.logged_models:
        model_id = rng.choice(place.logged_models)
        sources += [(f"models:/{model_id}", None)] * 2
    source, run = rng.choice(sources)
    tags = [ModelVersionTag(key, text(rng, 5000)) for key in keys(rng, 3)]
    link = "https://example.org/run?a=1&b=ü" if place.chance(0.2) else None
    place.registry.create_model_version(name, source, run, tags, link, rng.choice((None, "", text(rng, 5000))))


def _add_prompt(place: Place, name: str) -> None:
    rng = place.rng
    tags = [RegisteredModelTag("mlflow.prompt.is_prompt", "true"), RegisteredModelTag("team", text(rng, 100))]
    place.registry.create_registered_model(name, tags, "A prompt")
    versions = rng.randrange(1, 5)
    for number in range(1, versions + 1):
        words = f"Say {{{{ what }}}} {number} times: {text(rng, 2000)}"
        chat = place.since(3, 0) and place.chance(0.3)
        shown = json.dumps([{"role": "user", "content": words}]) if chat else words
        made = {"mlflow.prompt.is_prompt": "true", "mlflow.prompt.text": shown, "author": text(rng, 100)}
        if place.since(3, 0):
            made["_mlflow_prompt_type"] = "chat" if chat else "text"
        if place.chance(0.4):
            made["mlflow.prompt.run_ids"] = rng.choice(place.runs)
        marks = [ModelVersionTag(key, value) for key, value in made.items()]
        place.registry.create_model_version(name, "prompt-template", None, marks, None, f"commit {number}")
    if versions > 2:
        place.registry.delete_model_version(name, rng.randrange(1, versions))
    place.registry.set_registered_model_alias(name, "production", str(versions))
    place.counts["prompts"] += 1
