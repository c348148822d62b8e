"""How much an MLflow database holds, and what in it mltrail has no place for."""

from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.model import PROMPT_TAG
from mltrail_server.domain.transfer import Counts, Entity, Findings, Loss

from .experiments import within_workspace
from .opening import Reading
from .tables import Tables

_READ = frozenset(
    {
        "assessments",
        "datasets",
        "entity_associations",
        "evaluation_dataset_records",
        "evaluation_dataset_tags",
        "evaluation_datasets",
        "experiment_tags",
        "experiments",
        "input_tags",
        "inputs",
        "latest_metrics",
        "logged_model_metrics",
        "logged_model_params",
        "logged_model_tags",
        "logged_models",
        "metrics",
        "model_version_tags",
        "model_versions",
        "params",
        "registered_model_aliases",
        "registered_model_tags",
        "registered_models",
        "runs",
        "scorer_versions",
        "scorers",
        "spans",
        "tags",
        "trace_info",
        "trace_request_metadata",
        "trace_tags",
    }
)
_SAYS_NOTHING = frozenset(
    {
        "alembic_version",
        "job_locks",
        "jobs",
        "scheduler_leases",
        "span_metrics",
        "sql_assessment_daily_rollups",
        "sql_span_cost_daily_rollups",
        "sql_trace_metric_daily_rollups",
        "sql_trace_rollup_rebuild_queue",
        "trace_metrics",
        "workspaces",
    }
)
"""Computed from what is read, or about work in progress at the old server."""

_NAMES = {
    "budget_policies": "budgets of MLflow's gateway",
    "endpoints": "endpoints of MLflow's gateway",
    "guardrails": "guardrails of MLflow's gateway",
    "issues": "issues",
    "label_schemas": "label schemas",
    "mcp_servers": "MCP servers",
    "model_definitions": "models of MLflow's gateway",
    "online_scoring_configs": "settings for scoring of live traces",
    "review_queues": "review queues",
    "secrets": "keys of MLflow's gateway",
    "skills": "skills",
    "webhooks": "webhooks",
}
_PARTS = (
    "endpoint_",
    "guardrail_",
    "issue_categories",
    "mcp_access_",
    "mcp_server_",
    "review_queue_",
    "skill_",
    "webhook_events",
)
"""Tables that belong to one of those, and are not reported again."""


def note_the_rest(reading: Reading, tables: Tables, findings: Findings, workspace: str) -> None:
    """Note what will not be imported: other workspaces, and tables that mltrail has no place for."""
    for name in sorted(tables.names - _READ - _SAYS_NOTHING):
        if name.startswith(_PARTS):
            continue
        count = reading.value(sa.select(sa.func.count()).select_from(tables.table(name)))
        if count:
            what = _NAMES.get(name, f"rows of the unknown table {name}")
            _note(findings, reading, f"{count} {what}: mltrail has no place for them, so they are left out", count)
    for entity, name in (
        (Entity.EXPERIMENT, "experiments"),
        (Entity.MODEL, "registered_models"),
        (Entity.EVALUATION_DATASET, "evaluation_datasets"),
    ):
        if tables.has(name, "workspace"):
            which = tables.column(name, "workspace")
            others = sa.select(which, sa.func.count()).where(which != workspace).group_by(which).order_by(which)
            for other, count in reading.rows(others):
                text = f"{count} {entity.value} of workspace {other} are left out: to import it, add ?workspace={other}"
                _note(findings, reading, text, count, entity)


def _note(findings: Findings, reading: Reading, text: str, count: int, entity: Entity = Entity.EXPERIMENT) -> None:
    findings.add(Loss.NOTE, entity, reading.address.shown, text, count=count)


class Totals:
    """Counts what an import will read, by one statement for each entity."""

    def __init__(self, reading: Reading, tables: Tables, workspace: str) -> None:
        self._reading = reading
        self._tables = tables
        self._workspace = workspace

    def counts(self) -> Counts:
        found = Counts()
        run = self._tables.table("runs").c
        deleted = self._rows("runs", run.lifecycle_stage == "deleted")
        found.of[Entity.EXPERIMENT] = self._rows("experiments")
        found.of[Entity.RUN] = self._rows("runs") - deleted
        found.of[Entity.DELETED_RUN] = deleted
        found.of[Entity.PARAM] = self._of_runs("params")
        found.of[Entity.TAG] = self._of_runs("tags")
        found.of[Entity.POINT] = self._of_runs("metrics")
        found.of[Entity.LOGGED_MODEL] = self._rows("logged_models")
        found.of[Entity.MODEL_METRIC] = self._rows("logged_model_metrics")
        found.of[Entity.TRACE] = self._rows("trace_info")
        found.of[Entity.ASSESSMENT] = self._under("assessments", "trace_id", "trace_info", "request_id")
        found.of[Entity.SCORER] = self._under("scorer_versions", "scorer_id", "scorers", "scorer_id")
        found.of[Entity.EVALUATION_DATASET] = self._rows("evaluation_datasets")
        found.of[Entity.EVALUATION_ROW] = self._under(
            "evaluation_dataset_records", "dataset_id", "evaluation_datasets", "dataset_id"
        )
        self._count_datasets(found)
        self._count_registry(found)
        return found

    def _count_datasets(self, found: Counts) -> None:
        if self._tables.has("inputs"):
            used = self._tables.table("inputs").c
            found.of[Entity.DATASET] = self._rows(
                "inputs", used.source_type == "DATASET", used.destination_type == "RUN"
            )

    def _count_registry(self, found: Counts) -> None:
        tag = self._tables.table("registered_model_tags").c
        version = self._tables.table("model_versions").c
        found.of[Entity.PROMPT] = self._rows(
            "registered_model_tags", tag.key == PROMPT_TAG, sa.func.lower(tag.value) == "true"
        )
        found.of[Entity.MODEL] = self._rows("registered_models") - found[Entity.PROMPT]
        found.of[Entity.VERSION] = self._rows(
            "model_versions", sa.func.coalesce(version.current_stage, "") != "Deleted_Internal"
        )
        found.of[Entity.ALIAS] = self._rows("registered_model_aliases")

    def _rows(self, name: str, *conditions: sa.ColumnElement[bool]) -> int:
        """Count the rows of a table, in the workspace if it or its experiments have one."""
        if not self._tables.has(name):
            return 0
        statement: sa.Select[Any] = sa.select(sa.func.count()).select_from(self._tables.table(name)).where(*conditions)
        if self._tables.has(name, "workspace"):
            statement = within_workspace(statement, self._tables, name, self._workspace)
        elif self._has_workspaces and self._tables.has(name, "experiment_id"):
            statement = statement.where(self._tables.column(name, "experiment_id").in_(self._experiments()))
        return int(self._reading.value(statement))

    def _of_runs(self, name: str) -> int:
        """Count the rows of a table that belong to runs of the workspace."""
        statement: sa.Select[Any] = sa.select(sa.func.count()).select_from(self._tables.table(name))
        if self._has_workspaces:
            run = self._tables.table("runs").c
            theirs = sa.select(run.run_uuid).where(run.experiment_id.in_(self._experiments()))
            statement = statement.where(self._tables.column(name, "run_uuid").in_(theirs))
        return int(self._reading.value(statement))

    def _under(self, name: str, by: str, above: str, key: str) -> int:
        """Count the rows of a table that belong to rows of another."""
        if not self._tables.has(name):
            return 0
        if not self._has_workspaces:
            return self._rows(name)
        owners = sa.select(self._tables.column(above, key))
        if self._tables.has(above, "workspace"):
            owners = within_workspace(owners, self._tables, above, self._workspace)
        else:
            owners = owners.where(self._tables.column(above, "experiment_id").in_(self._experiments()))
        statement = sa.select(sa.func.count()).select_from(self._tables.table(name))
        return int(self._reading.value(statement.where(self._tables.column(name, by).in_(owners))))

    def _experiments(self) -> "sa.Select[Any]":
        number = self._tables.column("experiments", "experiment_id")
        return within_workspace(sa.select(number), self._tables, "experiments", self._workspace)

    @property
    def _has_workspaces(self) -> bool:
        """Whether there are several, which makes counting slower."""
        if not self._tables.has("experiments", "workspace"):
            return False
        other = self._tables.column("experiments", "workspace") != self._workspace
        return bool(
            self._reading.value(
                sa.select(sa.literal(1)).select_from(self._tables.table("experiments")).where(other).limit(1)
            )
        )
