"""Training runs of PyTorch in float64 with embedded numbers and trained factors of inputs, for tests/front.rs to follow.

Run it with `python3 tests/reference/front.py` (it needs PyTorch) to make `front.json` anew. Data and initial parameters come from
integer formulas that both sides evaluate; rows are visited in their order.
"""
import json
import math
import pathlib

import torch
from torch import nn

INPUTS, EMBEDDED, HIDDEN, OUTPUTS = 6, [0, 2, 3, 5], [9, 7], 4
ROWS, BATCH, STEPS = 48, 8, 20
EMBEDDING_RATE, SCALE_RATE = 0.3, 3.0
torch.set_default_dtype(torch.float64)

BASE = dict(loss="cross-entropy", optimizer="sgd", lr=0.05, embed="none", trained_scale=False)
BOTH = dict(BASE, embed="pbld", trained_scale=True)
CASES = [
    dict(BASE, embed="pbld"),
    dict(BASE, trained_scale=True),
    dict(BOTH, optimizer="momentum", weight_decay=0.02),
    dict(BOTH, optimizer="adam", lr=0.003, clip_norm=0.3),
    dict(BOTH, optimizer="adamw", lr=0.003, weight_decay=0.1),
    dict(BOTH, optimizer="adamw", lr=0.003, weight_decay=0.1, decay_biases=False),
    dict(BOTH, optimizer="adam", lr=0.003, loss="mse"),
]


def values(count, factor, offset, scale):
    """`scale` times numbers in -1 .. 1 that float32 holds exactly."""
    index = torch.arange(count, dtype=torch.int64)
    numbers = ((index * factor + offset) % 2003 - 1001).double() / 1024.0
    return (numbers * scale).float().double()


class Embedding(nn.Module):
    def __init__(self, features):
        super().__init__()
        count = len(features)
        self.register_buffer("features", torch.tensor(features))
        self.frequencies = nn.Parameter(torch.empty(count, 16))
        self.phases = nn.Parameter(torch.empty(count, 16))
        self.weight = nn.Parameter(torch.empty(count, 3, 16))
        self.bias = nn.Parameter(torch.empty(count, 3))

    def forward(self, x):
        waves = torch.cos(2 * math.pi * x[:, self.features, None] * self.frequencies + self.phases)
        e = torch.einsum("rfk,fjk->rfj", waves, self.weight) + self.bias
        return torch.cat([x, e.flatten(1)], 1)


class Network(nn.Module):
    def __init__(self, case):
        super().__init__()
        embedded = EMBEDDED if case["embed"] != "none" else []
        first = INPUTS + 3 * len(embedded)
        self.embedding = Embedding(embedded) if embedded else nn.Identity()
        self.scale = nn.Parameter(torch.empty(first)) if case["trained_scale"] else 1.0
        widths, layers = [first, *HIDDEN, OUTPUTS], []
        for number, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
            layer = nn.Linear(inputs, outputs)
            flat = values((inputs + 1) * outputs, 7907, 31 + number, 0.5)
            layer.weight.data = flat[: inputs * outputs].reshape(inputs, outputs).T.clone()
            layer.bias.data = flat[inputs * outputs :].clone()
            layers += [layer, nn.Tanh()]
        self.layers = nn.Sequential(*layers[:-1])
        flat = values(sum(p.numel() for p in self.front()), 7907, 11, 1.0)
        for p in self.front():
            p.data, flat = flat[: p.numel()].reshape(p.shape).clone(), flat[p.numel() :]

    def front(self):
        return [*self.embedding.parameters()] + ([self.scale] if isinstance(self.scale, nn.Parameter) else [])

    def forward(self, x):
        return self.layers(self.embedding(x) * self.scale)


def optimizer(case, model):
    decay, lr, kind = case.get("weight_decay", 0.0), case["lr"], case["optimizer"]
    of_biases = decay if case.get("decay_biases", True) else 0.0
    groups = [dict(params=[p], weight_decay=decay if p.dim() == 2 else of_biases) for p in model.layers.parameters()]
    for name, p in model.embedding.named_parameters():
        bias = name in ("phases", "bias")
        groups.append(dict(params=[p], weight_decay=of_biases if bias else decay, lr=lr * EMBEDDING_RATE))
    if case["trained_scale"]:
        groups.append(dict(params=[model.scale], weight_decay=0.0, lr=lr * SCALE_RATE))
    if kind in ("sgd", "momentum"):
        return torch.optim.SGD(groups, lr=lr, momentum=0.9 if kind == "momentum" else 0.0)
    return (torch.optim.Adam if kind == "adam" else torch.optim.AdamW)(groups, lr=lr)


def run(case):
    inputs = values(ROWS * INPUTS, 7919, 13, 1.0).reshape(ROWS, INPUTS)
    classes = case["loss"] == "cross-entropy"
    labels, targets = torch.arange(ROWS) * 7 % OUTPUTS, values(ROWS * OUTPUTS, 104729, 7, 2.0).reshape(ROWS, OUTPUTS)
    expected, loss = (labels, nn.CrossEntropyLoss()) if classes else (targets, nn.MSELoss())
    model = Network(case)
    rule = optimizer(case, model)
    for step in range(STEPS):
        first = step * BATCH % ROWS
        rule.zero_grad()
        loss(model(inputs[first : first + BATCH]), expected[first : first + BATCH]).backward()
        if "clip_norm" in case:
            nn.utils.clip_grad_norm_(model.parameters(), case["clip_norm"])
        rule.step()
    tensors = model.front() + [p.T if p.dim() == 2 else p for p in model.layers.parameters()]
    with torch.no_grad():
        last = float(loss(model(inputs), expected))
    return dict(case, parameters=[float(value) for tensor in tensors for value in tensor.detach().flatten()], last_loss=last)


def main():
    shape = dict(inputs=INPUTS, embedded=EMBEDDED, hidden=HIDDEN, outputs=OUTPUTS, rows=ROWS, batch=BATCH, steps=STEPS)
    text = json.dumps(dict(shape=shape, torch=torch.__version__, cases=[run(case) for case in CASES]), indent=0)
    pathlib.Path(__file__).with_suffix(".json").write_text(text + "\n")


main()
