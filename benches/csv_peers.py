#!/usr/bin/env python3
"""Accuracy on CSV data beside scikit-learn's MLPClassifier and PyTorch, with the same network, step size and epochs.

Usage: csv_peers.py BINARY [FLAGS OF train]     needs numpy, scikit-learn and torch
"""
import csv
import pathlib
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import torch
from sklearn import datasets, model_selection, neural_network, preprocessing

HIDDEN, EPOCHS, BATCH, RATE, MOST = 32, 60, 32, 0.1, 0.02


def sets():
    yield "classification", datasets.make_classification(
        4000, 20, n_informative=10, n_classes=4, n_clusters_per_class=1, class_sep=1.2, random_state=1)
    yield "moons", datasets.make_moons(3000, noise=0.2, random_state=2)
    yield "digits 8x8", datasets.load_digits(return_X_y=True)
    yield "wine", datasets.load_wine(return_X_y=True)


def ours(binary, folder, header, train, test, flags):
    for name, (x, y) in (("train.csv", train), ("test.csv", test)):
        with open(folder / name, "w", newline="") as file:
            writer = csv.writer(file)
            if header:
                writer.writerow([f"feature {column}" for column in range(x.shape[1])] + ["kind"])
            writer.writerows([*map(repr, map(float, row)), label] for row, label in zip(x, y))
    label = "kind" if header else "last"
    accuracies = []
    for seed in range(3):
        command = [binary, "train", "--data", folder / "train.csv", "--test", folder / "test.csv", "--label", label,
                   "--header", "yes" if header else "no", "--hidden", HIDDEN, "--epochs", EPOCHS, "--batch-size", BATCH,
                   "--lr", RATE, "--lr-decay", 0, "--seed", seed, *flags]
        result = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
        accuracies.append(float(result.stdout.splitlines()[-1].split()[-1]))
    return np.mean(accuracies)


def scikit_learn(train, test):
    accuracies = []
    for seed in range(3):
        model = neural_network.MLPClassifier((HIDDEN,), solver="sgd", momentum=0, alpha=0, batch_size=BATCH,
                                             learning_rate_init=RATE, max_iter=EPOCHS, tol=0, n_iter_no_change=EPOCHS,
                                             random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            accuracies.append(model.fit(*train).score(*test))
    return np.mean(accuracies)


def pytorch(train, test):
    x, y, test_x, test_y = (torch.tensor(part) for part in (*train, *test))
    accuracies = []
    for seed in range(3):
        torch.manual_seed(seed)
        model = torch.nn.Sequential(torch.nn.Linear(x.shape[1], HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, int(y.max()) + 1))
        optimizer = torch.optim.SGD(model.parameters(), RATE)
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(x)).split(BATCH):
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
                optimizer.step()
        accuracies.append((model(test_x).argmax(1) == test_y).float().mean().item())
    return np.mean(accuracies)


def main():
    binary, flags = sys.argv[1], sys.argv[2:]
    failed = False
    print("| data | rows x features | mlp-gpu, header | mlp-gpu, no header | scikit-learn | PyTorch |\n|---|---|---|---|---|---|")
    for name, (x, y) in sets():
        parts = model_selection.train_test_split(x, y, test_size=0.25, random_state=0, stratify=y)
        x_train, x_test, y_train, y_test = parts
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            raw = ((x_train, y_train), (x_test, y_test))
            own = [ours(binary, folder, header, *raw, flags) for header in (True, False)]
        scaler = preprocessing.StandardScaler().fit(x_train)
        scaled = [(scaler.transform(a).astype(np.float32), b) for a, b in raw]
        peers = [scikit_learn(*scaled), pytorch(*scaled)]
        failed |= min(own) < max(peers) - MOST
        cells = " | ".join(f"{accuracy:.4f}" for accuracy in own + peers)
        print(f"| {name} | {x.shape[0]} x {x.shape[1]} | {cells} |", flush=True)
    print(f"FAILED: more than {MOST} behind" if failed else "ok")
    sys.exit(int(failed))


main()
