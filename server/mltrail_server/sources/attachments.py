"""Attachments of traces: images, sounds and files that spans name by ID and that are stored beside `traces.json`."""

import re
from collections.abc import Iterator

from mltrail_server.domain.transfer import Entity, FileRecord, Findings, Loss, TraceRecord

from .artifacts import Artifacts

SPANS = "traces.json"
FOLDER = "attachments/"
_LOCATION = "mlflow.artifactLocation"
_NAMED = re.compile(rb"mlflow-attachment://([0-9a-fA-F-]{32,36})([^\"\s]{0,500})")
_ITS_TRACE = re.compile(rb"trace_id=([\w.-]+)")


class Attachments:
    """Lists the attachments that a trace's spans name: to look for them would take a call for each trace."""

    def __init__(self, artifacts: Artifacts, findings: Findings) -> None:
        self._artifacts = artifacts
        self._findings = findings
        self._trace = ""
        self._named: frozenset[str] = frozenset()
        self._noted = False

    def expect(self, trace: TraceRecord, spans: bytes) -> None:
        """Take the spans of the trace whose files will be listed next."""
        self._trace, self._named = trace.id, _named(trace, spans)

    def named(self, trace: TraceRecord) -> frozenset[str]:
        """Return the IDs of the trace's attachments, if `expect` was last called for this trace."""
        if trace.id == self._trace:
            return self._named
        if not self._noted:
            self._noted = True
            text = "attachments are named by spans, which a dry run does not read, so they are not counted"
            self._findings.add(Loss.NOTE, Entity.FILE, "traces", text)
        return frozenset()

    def of(self, trace: TraceRecord) -> Iterator[FileRecord]:
        """List the attachments in the trace's folder. A missing one becomes a finding."""
        missing = set(self.named(trace))
        if not missing:
            return
        owner, lost = f"trace {trace.id}", self._findings.lost
        for file in self._artifacts.files(trace.tags.get(_LOCATION) or trace.artifact_uri or "", owner):
            if file.path != SPANS:
                missing.discard(file.path.removeprefix(FOLDER))
                yield file
        if self._findings.lost == lost:
            for one in sorted(missing):
                self._findings.add(Loss.MISSING, Entity.FILE, owner, f"its spans name the attachment {one}: it is gone")


def _named(trace: TraceRecord, spans: bytes) -> frozenset[str]:
    """Return the IDs of the trace's own attachments: spans that were copied from another trace name that one's, too."""
    found = set()
    for attachment_id, rest in _NAMED.findall(spans):
        its_trace = _ITS_TRACE.search(rest)
        if its_trace is None or its_trace[1] == trace.id.encode():
            found.add(attachment_id.decode())
    return frozenset(found)
