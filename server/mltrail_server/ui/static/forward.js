"use strict";
// MLflow's addresses to ours: #/experiments/1/runs/<run id>, #/experiments/1, #/models/churn/versions/3

const target = document.querySelector("[data-target]").dataset.target;
const [kind, name, below, id] = location.hash.replace(/^#\//, "").split(/[/?]/);
const paths = {
  experiments: () => (below === "runs" && id ? `runs/${id}` : `experiments/${name}`),
  models: () => (below === "versions" && id ? `models/${name}/versions/${id}` : `models/${name}`),
};
if (Object.hasOwn(paths, kind) && name) location.replace(`${target}/${paths[kind]()}`);
