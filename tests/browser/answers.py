"""An assistant that answers customers' questions, evaluated on the default branch and in a merge request."""

import json
from typing import Any

from mltrail_server import worker
from tests.browser.server import Site
from tests.fakes.gitlab import MergeRequest, Pipeline
from tests.mlflow_client import Mlflow, good

PROMPTS = (
    "You are an assistant of the shop.\nAnswer briefly: {{question}}",
    "You are a kind assistant of the shop.\nAnswer in one sentence, and name the paragraph of the terms: {{question}}",
)
JUDGE = "openai:/gpt-5"
MS = 1_000_000
QUESTIONS = (
    ("How long can I return a jacket that I have worn once?", "Within 30 days.", "Within 30 days (§ 4)."),
    ("Do you ship to Norway, and what does it cost?", "Yes, for 9 euros.", "Yes, for 9 euros (§ 2)."),
    ("My order has not arrived. What can I do?", "Write to us.", "Write to us with the order's number (§ 6)."),
    ("Can I pay by invoice?", "Yes, in Germany and Austria.", "Yes (§ 3)."),
    ("Is the blue coat available in size M?", "It is sold out.", "It is sold out until May."),
    ("Who pays for sending a parcel back?", "We do.", "We do, within the European Union (§ 4)."),
    ("Can I change my address after ordering?", "Yes, within an hour.", "Yes, within an hour (§ 1)."),
    ("Do you repair zips?", "I do not know.", "Yes, for two years (§ 7)."),
)
BROKEN, FIXED = (3,), (2, 7)


class Answers:
    """Logs evaluations as jobs do, call by call."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._made = 0

    def register_prompts(self) -> None:
        developer = Mlflow(self.site.client, project="42", token=self.site.team.tokens["developer"])
        is_prompt = {"key": "mlflow.prompt.is_prompt", "value": "true"}
        developer.post("registered-models/create", name="qa", tags=[is_prompt])
        for text, why in zip(PROMPTS, ("The first one", "Kinder, and with the paragraph"), strict=True):
            tags = [is_prompt, {"key": "mlflow.prompt.text", "value": text}]
            developer.post("model-versions/create", name="qa", source="dummy-source", tags=tags, description=why)
        developer.post("registered-models/alias", name="qa", alias="production", version="1")

    def evaluate(self, pipeline: Pipeline, *, kind: bool) -> str:
        """Run one evaluation in a job of its own, and return the MLflow run id."""
        gitlab = self.site.team.gitlab
        job = gitlab.add_job(pipeline, "evaluate", "test", self.site.team.users["developer"], "running")
        mlflow = Mlflow(self.site.client, project="42", token=gitlab.mint(job, self.site.url))
        found = mlflow.call(
            "GET", "api/2.0/mlflow/experiments/get-by-name", query_string={"experiment_name": "answers"}
        )
        experiment = found.get_json().get("experiment") or mlflow.post("experiments/create", name="answers")
        linked = json.dumps([{"name": "qa", "version": "2" if kind else "1"}])
        run: str = mlflow.post(
            "runs/create",
            experiment_id=experiment["experiment_id"],
            run_name="kinder answers" if kind else "answers of main",
            start_time=self.site.clock(),
            tags=[
                {"key": "mlflow.runType", "value": "genai_evaluate"},
                {"key": "mlflow.linkedPrompts", "value": linked},
            ],
        )["run"]["info"]["run_id"]
        for number in range(len(QUESTIONS)):
            self._answer(mlflow, experiment["experiment_id"], run, number, kind=kind)
        self.site.clock.advance(60_000)
        mlflow.post("runs/update", run_id=run, status="FINISHED", end_time=self.site.clock())
        gitlab.set_job(job, "success")
        worker.run_once(self.site.deps)
        return run

    def make(self) -> MergeRequest:
        """Make an evaluation on the default branch, and a merge request that makes the answers kinder."""
        gitlab, project = self.site.team.gitlab, self.site.team.project
        self.register_prompts()
        base = project.branches["main"]
        self.evaluate(gitlab.add_pipeline(project, base, "main", "push"), kind=False)
        gitlab.add_commit(project, "a" * 40, parents=(base,), branch="kinder")
        request = gitlab.add_merge_request(project, "kinder", "main", "Answer kindly, and name the paragraph")
        ref = f"refs/merge-requests/{request.iid}/head"
        self.evaluate(gitlab.add_pipeline(project, "a" * 40, ref, "merge_request_event"), kind=True)
        self.site.clock.advance(120_000)
        worker.run_once(self.site.deps)
        return request

    def _answer(self, mlflow: Mlflow, experiment: str, run: str, number: int, *, kind: bool) -> None:
        self._made += 1
        trace_id = f"tr-{self._made:032x}"
        question, plain, kinder = QUESTIONS[number]
        answer = kinder if kind else plain
        right = number not in (BROKEN if kind else FIXED)
        usage = {"input_tokens": 310 + number, "output_tokens": 40, "total_tokens": 350 + number}
        info = {
            "trace_id": trace_id,
            "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}},
            "request_time": "2026-11-28T18:24:18.176Z",
            "execution_duration": f"{0.9 + number / 10}s",
            "state": "OK",
            "trace_metadata": {
                "mlflow.sourceRun": run,
                "mlflow.trace.tokenUsage": json.dumps(usage),
                "mlflow.trace.session": f"chat-{number}",
            },
            "tags": {"mlflow.traceName": "answer"},
            "request_preview": json.dumps({"question": question}),
            "response_preview": json.dumps(answer),
        }
        good(mlflow.call("POST", "api/3.0/mlflow/traces", json={"trace": {"trace_info": info}}))
        spans = _spans(trace_id, self.site.clock() * MS, question, answer, PROMPTS[kind], usage)
        body = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
        good(mlflow.call("POST", "v1/traces", json=body, headers={"x-mlflow-experiment-id": experiment}))
        judge = {"source_type": "LLM_JUDGE", "source_id": JUDGE}
        why = "It says what the terms say." if right else "The terms also allow it in Austria, which is left out."
        self._say(mlflow, trace_id, run, "correctness", judge, {"value": "yes" if right else "no"}, why)
        self._say(mlflow, trace_id, run, "relevance", judge, {"value": 5 if kind else 4}, "")
        code = {"source_type": "CODE", "source_id": "short"}
        self._say(mlflow, trace_id, run, "short", code, {"value": len(answer) < 45}, "")

    @staticmethod
    def _say(
        mlflow: Mlflow, trace_id: str, run: str, name: str, source: dict[str, str], feedback: dict[str, Any], why: str
    ) -> None:
        said = {
            "assessment_name": name,
            "trace_id": trace_id,
            "source": source,
            "feedback": feedback,
            "rationale": why,
            "metadata": {"mlflow.assessment.sourceRunId": run},
        }
        path = f"api/3.0/mlflow/traces/{trace_id}/assessments"
        good(mlflow.call("POST", path, json={"assessment": said}))


def _spans(
    trace_id: str, begin: int, question: str, answer: str, prompt: str, usage: dict[str, int]
) -> list[dict[str, Any]]:
    chat = {
        "model": "gpt-5-mini",
        "messages": [
            {"role": "system", "content": prompt.partition("\n")[0]},
            {"role": "user", "content": question},
        ],
    }
    said = {"choices": [{"message": {"role": "assistant", "content": answer}}]}
    found = [{"page_content": "§ 4 Returns: goods can be returned within 30 days.", "metadata": {"doc": "terms.md"}}]
    steps: list[tuple[str, str, int, int, object, object, dict[str, object]]] = [
        ("answer", "AGENT", 0, 900, {"question": question}, answer, {}),
        ("search the terms", "RETRIEVER", 20, 170, {"query": question}, found, {}),
        ("complete", "CHAT_MODEL", 200, 660, chat, said, {"mlflow.chat.tokenUsage": usage}),
        ("check", "PARSER", 870, 20, answer, answer, {}),
    ]
    made = []
    for number, (name, kind, start, took, inputs, outputs, more) in enumerate(steps, 1):
        attributes = {"mlflow.spanType": kind, "mlflow.spanInputs": inputs, "mlflow.spanOutputs": outputs, **more}
        made.append(
            {
                "traceId": trace_id.removeprefix("tr-"),
                "spanId": f"{number:016x}",
                **({"parentSpanId": f"{1:016x}"} if number > 1 else {}),
                "name": name,
                "kind": 1,
                "startTimeUnixNano": str(begin + start * MS),
                "endTimeUnixNano": str(begin + (start + took) * MS),
                "attributes": [
                    {"key": key, "value": {"stringValue": json.dumps(value)}} for key, value in attributes.items()
                ],
                "status": {"code": 1},
            }
        )
    return made
