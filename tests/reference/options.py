"""Training runs of PyTorch in float64 with each optimizer, activation, loss and schedule, for tests/options.rs to follow.

Run it with `python3 tests/reference/options.py` (it needs PyTorch) to make `options.json` anew. Data and initial parameters
come from integer formulas that both sides evaluate; rows are visited in their order.
"""
import json
import math
import pathlib

import torch
from torch import nn

INPUTS, HIDDEN, OUTPUTS = 12, [9, 7], 4
ROWS, BATCH, EPOCHS, STEPS = 60, 8, 3, 20
torch.set_default_dtype(torch.float64)

ACTIVATIONS = {
    "relu": nn.ReLU, "leaky-relu": nn.LeakyReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU,
    "silu": nn.SiLU, "selu": nn.SELU, "mish": nn.Mish, "identity": nn.Identity,
}
LOSSES = {"cross-entropy": nn.CrossEntropyLoss, "mse": nn.MSELoss, "mae": nn.L1Loss, "huber": nn.HuberLoss}
BASE = dict(activation="tanh", loss="cross-entropy", optimizer="sgd", schedule="constant", lr=0.1)
CASES = (
    [dict(BASE, activation=name) for name in ACTIVATIONS]
    + [dict(BASE, activation=name, optimizer="adam", lr=0.003) for name in ("gelu", "relu")]
    + [dict(BASE, optimizer="momentum"), dict(BASE, optimizer="nesterov", momentum=0.8),
       dict(BASE, optimizer="sgd", weight_decay=0.01), dict(BASE, optimizer="momentum", weight_decay=0.02),
       dict(BASE, optimizer="adam", lr=0.003), dict(BASE, optimizer="adam", lr=0.003, weight_decay=0.05),
       dict(BASE, optimizer="adamw", lr=0.003, weight_decay=0.1),
       dict(BASE, optimizer="adamw", lr=0.003, weight_decay=0.1, beta1=0.8, beta2=0.95, epsilon=1e-6),
       dict(BASE, optimizer="adamw", lr=0.003, weight_decay=0.1, decay_biases=False),
       dict(BASE, optimizer="sgd", clip_norm=0.3), dict(BASE, optimizer="adam", lr=0.003, clip_norm=0.3)]
    + [dict(BASE, label_smoothing=0.1), dict(BASE, class_weight=[0.5, 2.0, 1.0, 0.25]), dict(BASE, loss="mse"), dict(BASE, loss="mae", lr=0.05),
       dict(BASE, loss="huber"), dict(BASE, loss="mse", optimizer="adam", lr=0.003, activation="silu")]
    + [dict(BASE, schedule="step", lr_decay_every=1, gamma=0.5), dict(BASE, schedule="exponential", gamma=0.7),
       dict(BASE, schedule="cosine"), dict(BASE, schedule="cosine", min_lr=0.02), dict(BASE, schedule="linear", min_lr=0.01),
       dict(BASE, schedule="one-cycle"), dict(BASE, schedule="coslog4"), dict(BASE, schedule="cosine", warmup="5")]
)


def values(count, factor, offset, scale):
    """`scale` times numbers in -1 .. 1 that float32 holds exactly."""
    index = torch.arange(count, dtype=torch.int64)
    numbers = ((index * factor + offset) % 2003 - 1001).double() / 1024.0
    return (numbers * scale).float().double()


def data():
    inputs = values(ROWS * INPUTS, 7919, 13, 1.0).reshape(ROWS, INPUTS)
    labels = torch.arange(ROWS) * 7 % OUTPUTS
    targets = values(ROWS * OUTPUTS, 104729, 7, 2.0).reshape(ROWS, OUTPUTS)
    return inputs, labels, targets


def network(activation):
    widths = [INPUTS, *HIDDEN, OUTPUTS]
    layers = []
    for number, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        layer = nn.Linear(inputs, outputs)
        flat = values((inputs + 1) * outputs, 7907, 31 + number, 0.5)
        layer.weight.data = flat[: inputs * outputs].reshape(inputs, outputs).T.clone()
        layer.bias.data = flat[inputs * outputs :].clone()
        layers += [layer, ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])


def optimizer(case, model):
    biases = [p for name, p in model.named_parameters() if name.endswith("bias")]
    weights = [p for name, p in model.named_parameters() if name.endswith("weight")]
    decay = case.get("weight_decay", 0.0)
    groups = [dict(params=weights, weight_decay=decay),
              dict(params=biases, weight_decay=decay if case.get("decay_biases", True) else 0.0)]
    kind, lr = case["optimizer"], case["lr"]
    if kind == "sgd":
        return torch.optim.SGD(groups, lr=lr)
    if kind in ("momentum", "nesterov"):
        return torch.optim.SGD(groups, lr=lr, momentum=case.get("momentum", 0.9), nesterov=kind == "nesterov")
    adam = torch.optim.Adam if kind == "adam" else torch.optim.AdamW
    betas = (case.get("beta1", 0.9), case.get("beta2", 0.999))
    return adam(groups, lr=lr, betas=betas, eps=case.get("epsilon", 1e-8))


def scheduler(case, optimizer, steps, per_epoch):
    """PyTorch's scheduler, and whether it steps once per epoch."""
    kind, lr, schedule = case["schedule"], case["lr"], torch.optim.lr_scheduler
    warmup = int(case.get("warmup", 0))
    low = case.get("min_lr", 0.0)
    if kind == "constant":
        return None, False
    if kind == "step":
        return schedule.StepLR(optimizer, case["lr_decay_every"], case["gamma"]), True
    if kind == "exponential":
        return schedule.ExponentialLR(optimizer, case["gamma"]), True
    if kind == "linear":
        return schedule.LinearLR(optimizer, 1.0, low / lr, steps), False
    if kind == "one-cycle":
        return schedule.OneCycleLR(optimizer, lr, total_steps=steps, cycle_momentum=False), False
    if kind == "coslog4":  # Holzmüller et al. 2024, "Better by Default", section B
        return schedule.LambdaLR(
            optimizer, lambda t: 0.5 * (1 - math.cos(2 * math.pi * math.log2(1 + 15 * t / steps)))), False
    cosine = schedule.CosineAnnealingLR(optimizer, steps - warmup, low)
    if not warmup:
        return cosine, False
    rise = schedule.LambdaLR(optimizer, lambda t: (t + 1) / (warmup + 1))
    return schedule.SequentialLR(optimizer, [rise, cosine], [warmup]), False


def flat(model):
    tensors = (p.data.T.flatten() if p.dim() == 2 else p.data for p in model.parameters())
    return [float(value) for tensor in tensors for value in tensor]


def run(case):
    inputs, labels, targets = data()
    model = network(case["activation"])
    loss_name = case["loss"]
    expected = labels if loss_name == "cross-entropy" else targets
    smoothing = dict(label_smoothing=case["label_smoothing"]) if "label_smoothing" in case else {}
    told = LOSSES[loss_name](**smoothing)
    # What an evaluation tells does not weigh classes.
    weighted = dict(weight=torch.tensor(case["class_weight"])) if "class_weight" in case else {}
    loss = LOSSES[loss_name](**smoothing, **weighted)
    rule = optimizer(case, model)
    per_epoch = -(-ROWS // BATCH)
    plan, by_epoch = scheduler(case, rule, EPOCHS * per_epoch, per_epoch)
    rates, losses, parameters = [], [], None
    kinked = case["activation"] in ("relu", "leaky-relu", "selu")
    for _ in range(EPOCHS):
        for first in range(0, ROWS, BATCH):
            rows = slice(first, first + BATCH)
            if kinked:
                x = inputs[rows]
                for layer in model:
                    assert not isinstance(layer, ACTIVATIONS[case["activation"]]) or x.detach().abs().min() > 1e-6
                    x = layer(x)
            if loss_name in ("mae", "huber"):
                errors = (model(inputs[rows]) - expected[rows]).detach().abs()
                assert (errors - (0 if loss_name == "mae" else 1)).abs().min() > 1e-6
            rule.zero_grad()
            loss(model(inputs[rows]), expected[rows]).backward()
            if "clip_norm" in case:
                nn.utils.clip_grad_norm_(model.parameters(), case["clip_norm"])
            rates.append(rule.param_groups[0]["lr"])
            rule.step()
            if plan and not by_epoch:
                plan.step()
            if len(rates) == STEPS:
                parameters = flat(model)
        if plan and by_epoch:
            plan.step()
        with torch.no_grad():
            losses.append(float(told(model(inputs), expected)))
    return dict(case, rates=rates, parameters=parameters, losses=losses)


def main():
    shape = dict(inputs=INPUTS, hidden=HIDDEN, outputs=OUTPUTS, rows=ROWS, batch=BATCH, epochs=EPOCHS, steps=STEPS)
    text = json.dumps(dict(shape=shape, torch=torch.__version__, cases=[run(case) for case in CASES]), indent=0)
    pathlib.Path(__file__).with_suffix(".json").write_text(text + "\n")


main()
