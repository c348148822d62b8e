"use strict";
// MLflow's addresses to ours: #/experiments/1/runs/<run id>, #/experiments/1, #/models/churn/versions/3,
// #/experiments/1/evaluation-runs?selectedRunUuid=<run id>

const target = document.querySelector("[data-target]").dataset.target;
const [kind, name, below, id] = location.hash.replace(/^#\//, "").split(/[/?]/);
const run = below === "runs" ? id : below === "evaluation-runs" && /^selectedRunUuid=(\w+)/.exec(id)?.[1];
const paths = {
  experiments: () => (run ? `runs/${run}` : `experiments/${name}`),
  models: () => (below === "versions" && id ? `models/${name}/versions/${id}` : `models/${name}`),
};
if (Object.hasOwn(paths, kind) && name) location.replace(`${target}/${paths[kind]()}`);
