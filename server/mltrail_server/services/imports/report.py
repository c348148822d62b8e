"""The report of an import: counts of both sides, and everything that was not imported unchanged."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mltrail_server.domain import quantities
from mltrail_server.domain.terminal import plain
from mltrail_server.domain.transfer import Counts, Entity, Finding, Findings, Loss

_SHOWN_OF_EACH = 5


@dataclass(frozen=True, slots=True)
class ProjectReport:
    """What the source has for one project, how much of that is here, and what was added to it here since."""

    project_id: int
    path: str
    source: Counts
    here: Counts
    more: Counts

    @property
    def differences(self) -> int:
        """How many kinds of things have another count here than at the source."""
        return sum(self.source[entity] != self.here[entity] for entity in Entity)


@dataclass(slots=True)
class Report:
    """`dry_run` compares with what is here already. `skipped` things were unchanged since the import before."""

    kind: str
    address: str
    description: str
    findings: Findings
    dry_run: bool = False
    projects: list[ProjectReport] = field(default_factory=list)
    seconds: float = 0.0
    skipped: int = 0

    @property
    def clean(self) -> bool:
        """Whether everything is here as it is at the source. In a dry run: whether it would be."""
        return not self.findings.lost and (self.dry_run or not any(one.differences for one in self.projects))

    def as_json(self) -> dict[str, Any]:
        return {
            "source": {"kind": self.kind, "address": self.address, "description": self.description},
            "dry_run": self.dry_run,
            "clean": self.clean,
            "seconds": round(self.seconds, 1),
            "unchanged": self.skipped,
            "projects": [
                {
                    "project": one.project_id,
                    "path": one.path,
                    "counts": {
                        entity.value: {
                            "source": one.source[entity],
                            "here": one.here[entity],
                            "more_here": one.more[entity],
                        }
                        for entity in Entity
                        if one.source[entity] or one.here[entity] or one.more[entity]
                    },
                }
                for one in self.projects
            ],
            "findings": [
                {"kind": loss.value, "entity": entity.value, "count": count}
                for (loss, entity), count in sorted(self.findings.counted.items(), key=_order)
            ],
        }

    def lines(self) -> Iterator[str]:
        """Write the report for a person."""
        yield plain(f"{self.description} at {self.address}")
        for one in self.projects:
            yield ""
            yield f"Project {one.path}" if one.path == str(one.project_id) else f"Project {one.path} ({one.project_id})"
            yield from _table(one, dry_run=self.dry_run)
        yield from self._listed()
        yield ""
        yield self._conclusion()

    def _listed(self) -> Iterator[str]:
        for (loss, entity), count in sorted(self.findings.counted.items(), key=_order):
            yield ""
            yield f"{loss.value}, {entity.value}: {count:,}"
            of_kind = [one for one in self.findings.kept if (one.loss, one.entity) == (loss, entity)]
            for one in of_kind[:_SHOWN_OF_EACH]:
                yield f"  {plain(one.owner)}: {plain(one.text)}{f' ({one.count:,})' if one.count > 1 else ''}"
            if len(of_kind) > _SHOWN_OF_EACH:
                yield f"  … and {len(of_kind) - _SHOWN_OF_EACH:,} more; use --report FILE to write all of them"

    def _conclusion(self) -> str:
        took = quantities.duration(self.seconds)
        unchanged = f" {self.skipped:,} items have not changed since the last import." if self.skipped else ""
        if self.dry_run:
            verdict = "nothing would be lost" if self.clean else "there would be differences, see above"
            return f"Dry run, {took}: nothing was written, and {verdict}.{unchanged}"
        if self.clean:
            return f"Everything is here. It took {took}.{unchanged}"
        return f"There are differences, see above. Everything else is here. It took {took}.{unchanged}"


def finding_json(finding: Finding) -> str:
    """Write a finding as a line of JSON."""
    return json.dumps(
        {
            "kind": finding.loss.value,
            "entity": finding.entity.value,
            "owner": finding.owner,
            "text": finding.text,
            "count": finding.count,
        },
        ensure_ascii=False,
    )


def _order(counted: tuple[tuple[Loss, Entity], int]) -> tuple[int, int]:
    loss, entity = counted[0]
    return list(Loss).index(loss), list(Entity).index(entity)


def _table(one: ProjectReport, *, dry_run: bool) -> Iterator[str]:
    more = any(one.more[entity] for entity in Entity)
    rows = [("", "source", "here already" if dry_run else "here", "more here" if more else "", "")]
    for entity in Entity:
        numbers = (one.source[entity], one.here[entity], one.more[entity])
        if any(numbers):
            show = quantities.size if entity is Entity.BYTES else "{:,}".format
            differs = "  ← differs" if numbers[0] != numbers[1] and not dry_run else ""
            added = show(numbers[2]) if numbers[2] else ""
            rows.append((entity.value, show(numbers[0]), show(numbers[1]), added, differs))
    widths = [max(len(row[place]) for row in rows) for place in range(4)]
    for name, *counts, differs in rows:
        cells = [f"{text:>{width}}" for text, width in zip(counts, widths[1:], strict=True) if width]
        yield f"  {name:<{widths[0]}}  {'  '.join(cells)}{differs}".rstrip()
