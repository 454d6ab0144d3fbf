"""Losses of training runs in float64, written from the formulas and independent of the Rust code.

Run it with `python3 tests/reference/losses.py` (it needs NumPy; where PyTorch is there too, it must agree to 1e-9) to
make `losses.json` anew; `tests/reference.rs` trains the same runs with the binary and compares. Data and initial weights
come from integer formulas that both sides evaluate.
"""
import json
import pathlib

import numpy as np

CLASSES = 10
# side of the images, hidden widths, rows of the training and test part, batch size, epochs, and the schedule
CASES = [
    dict(side=4, hidden=[], train=150, test=40, batch=8, epochs=3, lr=0.2, decay=0.05, every=5, min_lr=0.01),
    dict(side=28, hidden=[7], train=200, test=50, batch=64, epochs=7, lr=0.2, decay=0.05, every=5, min_lr=0.01),
    dict(side=7, hidden=[12, 9], train=151, test=33, batch=33, epochs=4, lr=0.3, decay=0.1, every=1, min_lr=0.05),
    dict(side=5, hidden=[17], train=60, test=20, batch=1, epochs=3, lr=0.05, decay=0.0, every=1, min_lr=0.0),
    dict(side=6, hidden=[130, 31, 8], train=100, test=40, batch=1000, epochs=6, lr=0.25, decay=0.0, every=2, min_lr=0.01),
]


def data(first, rows, side):
    """Rows `first ..` of an endless data set: pixels 0..255 as uint8, and labels."""
    row = np.arange(first, first + rows, dtype=np.uint64)[:, None]
    column = np.arange(side * side, dtype=np.uint64)[None, :]
    label = row * 7 % CLASSES
    noise = (row * 2654435761 + column * 40503) % 2**32 // 2**13 % 128
    return ((label * 53 + column * 29) % 256 // 2 + noise).astype(np.uint8), label[:, 0].astype(int)


def weights(layer, inputs, outputs):
    """Initial weights, inputs x outputs, and biases of a layer, as float32 holds them."""
    index = np.arange((inputs + 1) * outputs)
    values = ((index * 7919 + 13 + layer) % 2003 - 1001) / 2003 / np.sqrt(inputs)
    values = values.astype(np.float32).astype(np.float64)
    return values[: inputs * outputs].reshape(inputs, outputs), values[inputs * outputs :]


def rates(case):
    rate = case["lr"]
    for epoch in range(case["epochs"]):
        if epoch % case["every"] == 0:
            rate = max(rate - case["decay"], case["min_lr"])
        yield rate


def forward(layers, x):
    activations = [x]
    for index, (w, b) in enumerate(layers):
        f = activations[-1] @ w + b
        if index + 1 < len(layers):
            activations.append(np.maximum(f, 0))
        else:
            e = np.exp(f - f.max(1, keepdims=True))
            activations.append(e / e.sum(1, keepdims=True))
    return activations


def loss(layers, x, y):
    p = forward(layers, x)[-1]
    return float(-np.log(p[np.arange(len(y)), y] + 1e-16).sum())


def run(case):
    """After each epoch: the learning rate, and the summed loss over the training and the test part."""
    (x, y), (tx, ty) = data(0, case["train"], case["side"]), data(case["train"], case["test"], case["side"])
    x, tx = x / 255.0, tx / 255.0
    widths = [case["side"] ** 2, *case["hidden"], CLASSES]
    layers = [list(weights(i, *pair)) for i, pair in enumerate(zip(widths, widths[1:]))]
    epochs = []
    for rate in rates(case):
        for start in range(0, len(x), case["batch"]):
            bx, by = x[start : start + case["batch"]], y[start : start + case["batch"]]
            activations = forward(layers, bx)
            d = activations[-1].copy()
            d[np.arange(len(by)), by] -= 1
            for index in reversed(range(len(layers))):
                w, b = layers[index]
                h = activations[index]
                before = (d @ w.T) * (h > 0)
                layers[index] = [w - rate * (h.T @ d) / len(bx), b - rate * d.sum(0) / len(bx)]
                d = before
        epochs.append(dict(lr=rate, train_loss_sum=loss(layers, x, y), test_loss_sum=loss(layers, tx, ty)))
    return epochs


def run_with_torch(case):
    """The same by PyTorch's own layers, loss, gradient and optimiser."""
    import torch

    (x, y), _ = data(0, case["train"], case["side"]), None
    x, y = torch.tensor(x / 255.0), torch.tensor(y)
    widths = [case["side"] ** 2, *case["hidden"], CLASSES]
    modules = []
    for index, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        linear = torch.nn.Linear(inputs, outputs, dtype=torch.float64)
        w, b = weights(index, inputs, outputs)
        linear.weight.data, linear.bias.data = torch.tensor(w.T.copy()), torch.tensor(b)
        modules += [linear, torch.nn.ReLU()]
    network = torch.nn.Sequential(*modules[:-1])
    optimizer = torch.optim.SGD(network.parameters())
    losses = []
    for rate in rates(case):
        optimizer.param_groups[0]["lr"] = rate
        for start in range(0, len(x), case["batch"]):
            rows = slice(start, start + case["batch"])
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(x[rows]), y[rows]).backward()
            optimizer.step()
        losses.append(torch.nn.functional.cross_entropy(network(x), y, reduction="sum").item())
    return losses


if __name__ == "__main__":
    results = [dict(case, losses=run(case)) for case in CASES]
    try:
        import torch  # noqa: F401
    except ImportError:
        print("PyTorch is not there: not compared with it")
    else:
        for result, case in zip(results, CASES):
            ours = [epoch["train_loss_sum"] for epoch in result["losses"]]
            np.testing.assert_allclose(ours, run_with_torch(case), rtol=1e-9)
        print("PyTorch agrees")
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(results, indent=1) + "\n")
    print(f"wrote {path}")
