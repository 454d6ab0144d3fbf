"""Reads a run as users of MLflow do: python3 tests/mlflow_runs.py STORE LOG.jsonl

Needs mlflow, or mlflow-skinny. The test `mlflow_reads_the_runs_that_are_written` calls it where that is installed.
"""

import json
import os
import pathlib
import sys

# Newer versions ask whether a store of files is meant.
os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"

from mlflow import MlflowClient

store, lines = sys.argv[1:]
head, *epochs = [json.loads(line) for line in open(lines)]
client = MlflowClient(pathlib.Path(store).absolute().as_uri())
[experiment] = client.search_experiments()
[run] = client.search_runs([experiment.experiment_id])
assert run.info.status == "FINISHED" and run.info.start_time <= run.info.end_time
assert run.data.params["batch_size"] == str(head["batch_size"])
assert run.data.params["optimizer"] == head["optimizer"]
for tag, name in [("loss/train", "train_loss"), ("loss/test", "test_loss"), ("accuracy/test", "test_accuracy")]:
    history = [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, tag)]
    assert history == [(epoch["epoch"], epoch[name]) for epoch in epochs], (tag, history)
assert client.list_artifacts(run.info.run_id) == []
