#!/usr/bin/env python3
"""Saved models in other software: PyTorch's nn.Sequential with the safetensors, onnxruntime with the ONNX file and NumPy with
the npz must give the probabilities of mlp-gpu, on all of MNIST's test images; and so must an nn.ModuleList and one ONNX graph
of an ensemble of them.

Usage: interchange.py BINARY DATA_DIR [FLAGS OF train]     needs numpy, torch, safetensors and onnxruntime
"""
import gzip
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime
import safetensors.numpy
import safetensors.torch
import torch

MOST = 1e-5


def images(folder):
    for name in ("t10k-images-idx3-ubyte", "t10k-images-idx3-ubyte.gz"):
        path = folder / "mnist" / name
        if path.exists():
            content = gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()
            return np.frombuffer(content, np.uint8, offset=16).reshape(-1, 784)
    sys.exit(f"{folder}: there is no MNIST in it")


def sequential(path):
    tensors = safetensors.torch.load_file(path)
    model = sequential_of(tensors)
    model.load_state_dict(tensors)
    return model


def sequential_of(tensors):
    indices = sorted({int(name.split(".")[0]) for name in tensors})
    layers = []
    for index in indices:
        outputs, inputs = tensors[f"{index}.weight"].shape
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


class Ensemble(torch.nn.Module):
    """The members of the file at `path`, loaded strictly: no name may be missing or too many."""

    def __init__(self, path):
        super().__init__()
        tensors, members = safetensors.torch.load_file(path), {}
        for name, tensor in tensors.items():
            _, number, rest = name.split(".", 2)
            members.setdefault(int(number), {})[rest] = tensor
        self.members = torch.nn.ModuleList([sequential_of(members[number]) for number in range(len(members))])
        self.load_state_dict(tensors, strict=True)

    def forward(self, x, weights):
        p = torch.stack([weight * torch.softmax(member(x), 1) for member, weight in zip(self.members, weights)])
        return p.sum(0) / sum(weights)


def join(paths, weights, path):
    """Writes the models at `paths` as one ensemble."""
    tensors, members = {}, []
    for number, single in enumerate(paths):
        with safetensors.safe_open(single, "np") as file:
            members.append(json.loads(file.metadata()["mlp-gpu"]))
            tensors |= {f"members.{number}.{name}": file.get_tensor(name) for name in file.keys()}
    description = {"format_version": 3, "version": "0", "weights": weights, "shared": {}, "members": members}
    safetensors.numpy.save_file(tensors, path, {"mlp-gpu": json.dumps(description)})


def numpy_model(path, x):
    arrays = np.load(path)
    layers = sum(name.startswith("W") for name in arrays.files)
    for layer in range(1, layers + 1):
        x = x @ arrays[f"W{layer}"] + arrays[f"b{layer}"]
        x = np.maximum(x, 0) if layer < layers else np.exp(x - x.max(axis=1, keepdims=True))
    return x / x.sum(axis=1, keepdims=True)


def main():
    binary, data = sys.argv[1], pathlib.Path(sys.argv[2])
    pixels = images(data)
    x = pixels.astype(np.float32) / np.float32(255)
    worst = 0.0

    def run(*arguments):
        return subprocess.run([binary, *map(str, arguments)], check=True, capture_output=True, text=True)

    def predict(model):
        return run("predict", model, rows, "--header", "no", "--json", *sys.argv[3:]).stdout.splitlines()

    def onnx(path):
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        one, all = (session.run(None, {"input": x})[0] for x in (x[:1], x))
        assert np.abs(one - all[:1]).max() < MOST
        return all

    def compare(name, lines, found):
        ours = np.array([json.loads(line)["probabilities"] for line in lines])
        assert ours.shape == (len(pixels), 10), ours.shape
        differences = {other: np.abs(p - ours).max() for other, p in found.items()}
        for other, difference in differences.items():
            print(f"{name}  {other:<12} {len(pixels)} images, largest difference {difference:.1e}")
        return max(worst, *differences.values())

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        rows, singles = folder / "rows.csv", []
        np.savetxt(rows, pixels, fmt="%d", delimiter=",")
        for hidden in ("7", "128", "64,32", "none"):
            model = folder / f"{hidden}.safetensors"
            singles.append(model)
            run("train", "--data", "mnist", "--data-dir", data, "--hidden", hidden, "--epochs", 2, "--save", model, *sys.argv[3:])
            lines = predict(model)
            for kind in ("onnx", "npz"):
                run("export", model, "--format", kind, "--output", folder / f"m.{kind}")
                assert predict(folder / f"m.{kind}") == lines, kind
            with torch.no_grad():
                found = {"torch": torch.softmax(sequential(model)(torch.from_numpy(x)), 1).numpy()}
            found |= {"onnxruntime": onnx(folder / "m.onnx"), "numpy": numpy_model(folder / "m.npz", x)}
            worst = compare(f"784-{hidden}-10", lines, found)
        weights, ensemble, again = [1, 3, 2, 1], folder / "all.safetensors", folder / "again.safetensors"
        join(singles, weights, ensemble)
        # Written again by mlp-gpu.
        run("export", ensemble, "--output", again)
        run("export", again, "--output", folder / "all.onnx")
        lines = predict(again)
        assert predict(folder / "all.onnx") == lines
        with torch.no_grad():
            found = {"torch": Ensemble(again)(torch.from_numpy(x), weights).numpy()}
        worst = compare("ensemble of the 4", lines, found | {"onnxruntime": onnx(folder / "all.onnx")})
    print("ok" if worst <= MOST else f"FAILED: more than {MOST}")
    sys.exit(int(worst > MOST))


main()
