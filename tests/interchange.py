#!/usr/bin/env python3
"""Saved models in other software: PyTorch's nn.Sequential with the safetensors, onnxruntime with the ONNX file and NumPy with
the npz must give the probabilities of mlp-gpu, on all of MNIST's test images.

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
    indices = sorted({int(name.split(".")[0]) for name in tensors})
    layers = []
    for index in indices:
        outputs, inputs = tensors[f"{index}.weight"].shape
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    model.load_state_dict(tensors)
    return model


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
    worst = 0.0
    for hidden in ("7", "128", "64,32", "none"):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            model, rows = folder / "m.safetensors", folder / "rows.csv"
            run = lambda *arguments: subprocess.run([binary, *map(str, arguments)], check=True, capture_output=True, text=True)
            run("train", "--data", "mnist", "--data-dir", data, "--hidden", hidden, "--epochs", 2, "--save", model, *sys.argv[3:])
            for kind in ("onnx", "npz"):
                run("export", model, "--format", kind, "--output", folder / f"m.{kind}")
            np.savetxt(rows, pixels, fmt="%d", delimiter=",")
            lines = run("predict", model, rows, "--header", "no", "--json", *sys.argv[3:]).stdout.splitlines()
            ours = np.array([json.loads(line)["probabilities"] for line in lines])
            assert ours.shape == (len(pixels), 10), ours.shape
            for kind in ("onnx", "npz"):
                again = run("predict", folder / f"m.{kind}", rows, "--header", "no", "--json", *sys.argv[3:]).stdout
                assert again.splitlines() == lines, kind
            x = pixels.astype(np.float32) / np.float32(255)
            with torch.no_grad():
                found = {"torch": torch.softmax(sequential(model)(torch.from_numpy(x)), 1).numpy()}
            session = onnxruntime.InferenceSession(folder / "m.onnx", providers=["CPUExecutionProvider"])
            one = session.run(None, {"input": x[:1]})[0]
            found["onnxruntime"] = session.run(None, {"input": x})[0]
            assert np.abs(one - found["onnxruntime"][:1]).max() < MOST
            found["numpy"] = numpy_model(folder / "m.npz", x)
            for name, other in found.items():
                difference = np.abs(other - ours).max()
                worst = max(worst, difference)
                print(f"784-{hidden}-10  {name:<12} {len(pixels)} images, largest difference {difference:.1e}")
    print("ok" if worst <= MOST else f"FAILED: more than {MOST}")
    sys.exit(int(worst > MOST))


main()
