"""Reads the files of a run as their users do: python3 tests/event_files.py EVENTS LOG.jsonl LOG.csv

Needs tensorboard, tbparse, pandas and pillow. The test `other_software_reads_the_files_of_a_run` calls it where they are installed.
"""

import io
import json
import math
import sys

import pandas
import tbparse
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

events, lines, table = sys.argv[1:]
head, *epochs = [json.loads(line) for line in open(lines)]

board = EventAccumulator(events, size_guidance={"scalars": 0, "histograms": 0, "images": 0})
board.Reload()
for tag, name in [
    ("loss/train", "train_loss"),
    ("loss/test", "test_loss"),
    ("accuracy/test", "test_accuracy"),
    ("learning_rate", "lr"),
    ("rows_per_second", "samples_per_second"),
]:
    found = [(scalar.step, scalar.value) for scalar in board.Scalars(tag)]
    assert [step for step, _ in found] == [epoch["epoch"] for epoch in epochs], tag
    for (_, value), epoch in zip(found, epochs):
        # Scalars are 32-bit numbers, and each run has times of its own.
        assert "per_second" in tag or math.isclose(value, epoch[name], rel_tol=1e-6), (tag, value, epoch[name])
widths = head["widths"]
for layer, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
    for tag, size in [(f"weights/layer_{layer}", inputs * outputs), (f"biases/layer_{layer}", outputs)]:
        histograms = board.Histograms(tag)
        assert len(histograms) == len(epochs)
        for histogram in histograms:
            values = histogram.histogram_value
            assert values.num == sum(values.bucket) == size and values.min <= values.max == values.bucket_limit[-1]
[picture] = board.Images("units/layer_0")
image = Image.open(io.BytesIO(picture.encoded_image_string))
assert image.size == (picture.width, picture.height)

parts = {}
for tag, metadata in board.summary_metadata.items():
    if tag.startswith("_hparams_/"):
        data = plugin_data_pb2.HParamsPluginData.FromString(metadata.plugin_data.content)
        parts[tag.split("/")[1]] = getattr(data, data.WhichOneof("data"))
assert sorted(parts) == ["experiment", "session_end_info", "session_start_info"]
options = parts["session_start_info"].hparams
assert options["batch_size"].number_value == head["batch_size"]
assert options["optimizer"].string_value == head["optimizer"]
assert options["shuffle"].bool_value is head["shuffle"]
assert parts["session_end_info"].status == 1

read = tbparse.SummaryReader(events)
assert set(read.scalars.tag) == set(board.Tags()["scalars"])
assert dict(zip(read.hparams.tag, read.hparams.value))["batch_size"] == head["batch_size"]

rows = pandas.read_csv(table)
assert list(rows.columns[:2]) == ["epoch", "lr"] and len(rows) == len(epochs)
for name in ["train_loss", "test_accuracy"]:
    assert rows[name].tolist() == [epoch[name] for epoch in epochs], name
print(f"{len(epochs)} epochs are read by tensorboard, tbparse and pandas")
