from tests.differential.model import Call, World

from .base import post

FILTERS = (
    "",
    "metrics.loss > 0.4",
    "metrics.loss <= 1 and metrics.`val/acc` != 0.5",
    "metrics.f1.macro < 3",
    "metrics.`a b` >= 0",
    "metrics.`a b` >= '0'",
    "params.lr = '0.1'",
    "params.lr != '0.1'",
    "params.depth LIKE '%3%'",
    "params.lr LIKE '0.%'",
    "params.lr LIKE '0._' and tags.kind LIKE 'a'",
    "tags.kind LIKE 'A%'",
    "tags.stage ILIKE 'B%'",
    "params.\"opt/name\" ILIKE 'AD_M'",
    "tags.kind = 'a' and tags.stage != 'b'",
    "tag.kind IS NULL",
    "tags.stage IS NOT NULL",
    "attributes.status = 'FINISHED'",
    "attributes.status != 'RUNNING'",
    "status = 'KILLED'",
    "run_name LIKE 'run%'",
    "attributes.start_time > 1700000020000",
    "start_time <= 1700000200000 and end_time > 0",
    "user_id = 'somebody'",
    "dataset.name = 'd'",
    "datasets.digest IN ('1', '2')",
    "dataset.context = 'train'",
    "attributes.run_id IN ('⟦run0⟧', '⟦run3⟧')",
    "run_id = '⟦run1⟧'",
    "metrics.loss == 1",
    "metrics.loss > 0.4 OR params.lr = '1'",
    "params.lr = 0.1",
    "attributes.nonsense = 'x'",
    "what.ever = 'x'",
    "metrics.loss >",
    "(metrics.loss > 1)",
    "params.lr BETWEEN '0' AND '1'",
    "tags.kind in ('a')",
)
ORDERS = (
    [],
    ["metrics.loss ASC"],
    ["metrics.loss DESC"],
    ["metrics.`val/acc`"],
    ["metrics.`a b` DESC", "params.lr ASC"],
    ["params.lr DESC"],
    ["tags.kind ASC", "attributes.start_time DESC"],
    ["attributes.status", "start_time ASC"],
    ["attributes.end_time DESC"],
    ["nonsense"],
    ["attributes.nonsense DESC"],
    ["metrics.loss SIDEWAYS"],
)


def runs(world: World) -> Call:
    rng = world.rng
    return post(
        "runs/search",
        experiment_ids=[world.some("exp") for _ in range(rng.randrange(4))],
        filter=rng.choice(FILTERS),
        order_by=rng.choice(ORDERS),
        run_view_type=rng.choice(["ACTIVE_ONLY", "ACTIVE_ONLY", "ALL", "DELETED_ONLY"]),
        max_results=rng.choice([3, 100, 1000, 1000, 1000, None]),
    )


def everywhere(world: World) -> Call:
    """Search all experiments at once, where most is found."""
    call = runs(world)
    call.json["experiment_ids"] = list(world.known["exp"])
    return call


GENERATORS = (runs, everywhere, everywhere, everywhere, everywhere)
