from typing import Any

from tests.differential.model import SIDES, Call, World

from .base import get, get3, post, post3, send, send3

KEEP = "trace_info trace_id trace_location mlflow_experiment experiment_id experiment_ids trace_ids request_ids"
NAMES = ["agent", "tool", "a b"]
FILTERS = [
    "",
    "trace.status = 'OK'",
    "status IN ('ERROR', 'IN_PROGRESS')",
    "attributes.name = 'agent'",
    "name LIKE '%o%'",
    "trace.timestamp_ms > 1700000000050",
    "timestamp <= 1700000000200 AND status != 'ERROR'",
    "execution_time_ms >= 300",
    "trace.end_time > 1700000000400",
    "tags.team = 'x'",
    "tag.`team` != 'x'",
    "tags.team IS NULL",
    "metadata.user = 'u1'",
    "request_metadata.user ILIKE 'U%'",
    "metadata.`mlflow.trace.session` IS NOT NULL",
    "metadata.`mlflow.trace.session` = 's1'",
    "client_request_id = 'c1'",
    "client_request_id LIKE 'c%'",
    "feedback.correct = 'true'",
    "feedback.correct IS NULL",
    "feedback.correct != 'yes'",
    "feedback.score > 0.4",
    "expectation.answer IS NOT NULL",
    "prompt = 'qa/1'",
    "issue.id = 'nobody'",
    "span.name = 'nobody'",
    "tags.team = 'x' AND feedback.correct = 'yes'",
    "nobody = 'x'",
    "params.a = 'x'",
    "status > 'x'",
    "feedback.score > 'x'",
    "prompt LIKE 'x'",
    "span.kind = 'x'",
]
ORDERS: list[list[str]] = [
    [],
    ["timestamp_ms DESC"],
    ["timestamp ASC"],
    ["execution_time DESC"],
    ["status", "timestamp_ms"],
    ["tags.team DESC"],
    ["name ASC"],
    ["metadata.`mlflow.trace.session`"],
    ["end_time_ms DESC"],
    ["nobody"],
]


def experiment(world: World) -> Call:
    """Create an experiment under a name that the calls about runs don't use on the same servers."""
    return post("experiments/create", name=world.new_name("agents"), learns=("exp", ("experiment_id",)))


def start(world: World) -> Call:
    rng = world.rng
    if rng.random() < 0.75 or "trace" not in world.known:
        trace_id = f"tr-{rng.getrandbits(128):032x}"
        place = world.some("exp")
        symbol = world.learn("trace", dict.fromkeys(SIDES, trace_id), within=place)
    else:
        symbol = world.some("trace")
        place = world.holder(symbol, "exp")
    at = world.tick() // 1000 % 1000
    info: dict[str, Any] = {
        "trace_id": symbol,
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": place}},
        "request_time": f"2023-11-14T22:13:20.{at:03d}Z",
        "state": rng.choice(["OK", "OK", "ERROR", "IN_PROGRESS", "STATE_UNSPECIFIED"]),
        "tags": {"mlflow.traceName": rng.choice(NAMES)} if rng.random() < 0.7 else {},
        "trace_metadata": {},
    }
    if rng.random() < 0.7:
        info["execution_duration"] = rng.choice(["0s", "0.305s", "2s", "1.0005s"])
    if rng.random() < 0.5:
        info["tags"]["team"] = rng.choice("xyz")
    if rng.random() < 0.5:
        info["trace_metadata"]["user"] = rng.choice(["u1", "u2", "u" * 300])
    if rng.random() < 0.3:
        info["trace_metadata"]["mlflow.trace.session"] = rng.choice(["s1", "s2"])
    if rng.random() < 0.3 and "run" in world.known:
        info["trace_metadata"]["mlflow.sourceRun"] = world.some("run")
    if rng.random() < 0.3:
        info |= {
            "request_preview": '{"q": "x"}',
            "response_preview": '"é"',
            "client_request_id": rng.choice(["c1", "d"]),
        }
    return post3("traces", keep=KEEP, trace={"trace_info": info})


def get_info(world: World) -> Call:
    return get3(f"traces/{world.some('trace')}")


def get_infos(world: World) -> Call:
    fields: dict[str, Any] = {"trace_ids": [world.some("trace") for _ in range(3)]}
    if world.rng.random() < 0.3:
        fields["experiment_ids"] = [world.some("exp")]
    # MLflow reads null as a list of no experiments.
    return post3("traces/batchGetInfos", keep="experiment_ids", **fields)


def set_tag(world: World) -> Call:
    key = world.rng.choice(["team", "mlflow.traceName", "note", "mlflow.artifactLocation"])
    fields = {"key": key, "value": world.rng.choice(["x", "agent", "n" * 300])}
    version = send if world.rng.random() < 0.5 else send3
    return version("PATCH", f"traces/{world.some('trace')}/tags", keep="key value", **fields)


def delete_tag(world: World) -> Call:
    key = world.rng.choice(["team", "note", "mlflow.artifactLocation"])
    version = send if world.rng.random() < 0.5 else send3
    return version("DELETE", f"traces/{world.some('trace')}/tags", keep="key", key=key)


def link(world: World) -> Call:
    traces = sorted({world.some("trace") for _ in range(3)})
    if world.rng.random() < 0.1:
        traces = [f"tr-{number:032x}" for number in range(101)]
    return post("traces/link-to-run", keep="trace_ids run_id", trace_ids=traces, run_id=world.some("run"))


def link_prompts(world: World) -> Call:
    versions = [{"name": "qa", "version": world.rng.choice(["1", "2"])}]
    return post(
        "traces/link-prompts",
        keep="prompt_versions name version",
        trace_id=world.some("trace"),
        prompt_versions=versions,
    )


def search(world: World) -> Call:
    rng = world.rng
    text = rng.choice(FILTERS)
    if rng.random() < 0.2 and "run" in world.known:
        text = f"attribute.run_id = '{world.some('run')}'"
    locations = [
        {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": world.some("exp")}} for _ in range(3)
    ]
    return post3(
        "traces/search",
        keep=KEEP,
        locations=locations,
        filter=text,
        order_by=rng.choice(ORDERS),
        max_results=rng.choice([2, 10, 500]),
    )


def search_v2(world: World) -> Call:
    rng = world.rng
    experiments = [world.some("exp") for _ in range(2)]
    return get("traces", experiment_ids=experiments, filter=rng.choice(FILTERS), max_results=rng.choice([2, 100]))


def correlation(world: World) -> Call:
    rng = world.rng
    fields = {"filter_string1": rng.choice(FILTERS[1:27]), "filter_string2": rng.choice(FILTERS[1:27])}
    if rng.random() < 0.5:
        fields["base_filter"] = rng.choice(FILTERS[1:8])
    experiments = [world.some("exp") for _ in range(2)]
    keep = "experiment_ids filter_string1 filter_string2 base_filter"
    return post3("traces/calculate-filter-correlation", keep=keep, experiment_ids=experiments, **fields)


def delete(world: World) -> Call:
    rng = world.rng
    version = post if rng.random() < 0.5 else post3
    if rng.random() < 0.6:
        fields: dict[str, Any] = {"request_ids": [world.some("trace")]}
    else:
        fields = {"max_timestamp_millis": 1_700_000_000_000 + rng.randrange(200), "max_traces": rng.choice([1, 2])}
    if rng.random() < 0.1:
        fields |= {"max_timestamp_millis": 5, "request_ids": ["x"]}
    return version(
        "traces/delete-traces",
        keep=f"{KEEP} max_timestamp_millis max_traces",
        experiment_id=world.some("exp"),
        **fields,
    )


def start_v2(world: World) -> Call:
    rng = world.rng
    return post(
        "traces",
        learns=("trace", ("trace_info", "request_id")),
        keep="experiment_id timestamp_ms request_metadata tags key value",
        experiment_id=world.some("exp"),
        timestamp_ms=world.tick(),
        request_metadata=[{"key": "user", "value": rng.choice(["u1", "u2"])}],
        tags=[{"key": "team", "value": rng.choice("xyz")}],
    )


def end_v2(world: World) -> Call:
    trace = world.some("trace")
    fields = {"timestamp_ms": world.tick() + 500, "status": world.rng.choice(["OK", "ERROR"])}
    pairs = {"request_metadata": [{"key": "k", "value": "v"}], "tags": [{"key": "note", "value": "x"}]}
    return send(
        "PATCH",
        f"traces/{trace}",
        keep="request_id timestamp_ms status request_metadata tags key value",
        request_id=trace,
        **fields,
        **pairs,
    )


def get_v2(world: World) -> Call:
    return get(f"traces/{world.some('trace')}/info")


GENERATORS = (
    experiment,
    start,
    start,
    get_info,
    get_infos,
    set_tag,
    set_tag,
    delete_tag,
    delete_tag,
    link,
    link_prompts,
    search,
    search,
    search_v2,
    correlation,
    delete,
    delete,
    start_v2,
    end_v2,
    get_v2,
)
