"""What an archive must not contain: file names that no server assigns, and places that no client may name.

A key or a type can't tell these. Everything else that could be forged is either left out or harmless, see
`store/archives/changes.py` and docs/decisions/0038-what-an-archive-is-believed.md.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from mltrail_server.domain import former, paths, source
from mltrail_server.domain.assessments import Kind
from mltrail_server.domain.candidate import Stage, Status
from mltrail_server.domain.errors import MltrailError, invalid
from mltrail_server.domain.ids import is_blob_id
from mltrail_server.domain.traces import TraceState
from mltrail_server.store import schema
from mltrail_server.store.archives import changes
from mltrail_server.store.archives.staging import Staging
from mltrail_server.store.tracking.inputs import Direction
from mltrail_server.store.tracking.logged_models import ModelStatus

_BESIDE = re.compile(r"beside/(\d{1,18})/.+", re.ASCII | re.DOTALL)
_PROMOTION = re.compile(r"promotions/-?\d+-(\d{1,18})/.+", re.ASCII | re.DOTALL)
_OWNED = re.compile(r"\d{1,18}/(models/|traces/)?[A-Za-z0-9][\w-]{0,255}/artifacts/.+", re.ASCII | re.DOTALL)

PLACES = (schema.experiment.c.artifact_location, schema.candidate.c.elsewhere, schema.logged_model.c.elsewhere)
"""Where clients keep files by themselves. A place could send a client's token to somebody, or name a local file."""


_WORDS: Sequence[tuple[sa.Column[Any], frozenset[int]]] = (
    (schema.experiment.c.stage, frozenset(Stage)),
    (schema.candidate.c.stage, frozenset(Stage)),
    (schema.candidate.c.status, frozenset(Status)),
    (schema.logged_model.c.stage, frozenset(Stage)),
    (schema.logged_model.c.status, frozenset(ModelStatus)),
    (schema.candidate_model.c.direction, frozenset(Direction)),
    (schema.trace.c.state, frozenset(TraceState)),
    (schema.trace_spans.c.encoding, frozenset({1, 2})),  # see services/traces/span_records.py
    (schema.assessment.c.kind, frozenset(Kind)),
)
"""Numbers that stand for words."""

_JSON: Sequence[tuple[sa.Column[Any], Any]] = (
    (schema.assessment.c.value, Any),
    (schema.assessment.c.error, dict[str, Any]),
    (schema.assessment.c.metadata, dict[str, str]),
    *((schema.evaluation_record.c[name], Any) for name in ("inputs", "outputs", "expectations", "tags", "source")),
    (schema.scorer_version.c.serialized, Any),
)
"""Texts that are JSON, and of which kind."""


def check_blobs(staging: Staging) -> None:
    """Raise INVALID for the id of a blob that could be a path."""
    for (blob_id,) in staging.values(schema.blob.c.id):
        if not is_blob_id(blob_id):
            raise invalid(
                f"The archive names a blob {blob_id[:80]!r}, an ID that no server assigns. Nothing was imported."
            )


def check_numbers(staging: Staging) -> None:
    """Raise INVALID for the number of a pipeline, job or merge request that would become one of this GitLab's."""
    for name, columns in changes.GITLAB_NUMBERS.items():
        for column in columns:
            which = schema.METADATA.tables[name].c[column]
            for ends in staging.values(sa.func.min(which), sa.func.max(which)):
                for number in ends:
                    former.shifted(number or 0)


def check(staging: Staging) -> None:
    """Raise INVALID for an archive that no server has written: pages and calls could fail on it."""
    for column, known in _WORDS:
        for (value,) in staging.values(column, distinct=True):
            if value not in known:
                raise invalid(f"{column} of the archive is {value!r:.80}, which is not valid. Nothing was imported.")
    for column, shape in _JSON:
        decoder = msgspec.json.Decoder(shape)
        for (text,) in staging.values(column):
            _check_json(column, text, decoder)
    counters: dict[str, int] = dict(staging.values(schema.counter.c.name, schema.counter.c.value))
    for (path,) in staging.values(schema.file.c.path):
        check_path(path, last_candidate=counters.get("candidate", 0))
    for column in PLACES:
        _check_places(column, (place for (place,) in staging.values(column)))
    location = schema.model_version.c.location
    found = (place for (place,) in staging.values(location))
    _check_places(location, (place for place in found if source.is_elsewhere(place)))


def _check_json(column: sa.Column[Any], text: str | None, decoder: "msgspec.json.Decoder[Any]") -> None:
    if text is None:
        return
    try:
        decoder.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise invalid(f"{column} of the archive is not the expected JSON. Nothing was imported.") from error


def check_path(path: str, *, last_candidate: int) -> None:
    """Raise INVALID for the path of a file that is in no owner's folder, or in one that is yet to come: whatever is
    promoted or kept there later would have the file.
    """
    try:
        plain = paths.clean(path) == path
    except MltrailError:
        plain = False
    numbered = _BESIDE.fullmatch(path) or _PROMOTION.fullmatch(path)
    if not plain or not (int(numbered[1]) <= last_candidate if numbered else _OWNED.fullmatch(path)):
        raise invalid(f"The archive has a file {path[:200]!r}, which no server keeps. Nothing was imported.")


def _check_places(column: sa.Column[Any], given: Iterable[str | None]) -> None:
    for place in given:
        if place is None:
            continue
        try:
            source.checked_place(place)
        except MltrailError as error:
            raise invalid(f"{column} of the archive is not allowed: {error.message} Nothing was imported.") from error
