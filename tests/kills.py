#!/usr/bin/env python3
"""Runs that are killed at random moments, some of them during a save, and go on from their checkpoints: do they end with the bits of a
run that was never stopped, and has their log each epoch once?

    tests/kills.py target/release/mlp-gpu [KILLS] [BACKEND]

Each run is killed by SIGKILL until KILLS (20) are done in all, and then goes on to its end. Checkpoints are written every 10 ms, so that
many kills fall into a save; those that left a temporary file did. Needs Python 3 alone. docs/faults.md has a recorded run."""

import glob, hashlib, json, os, random, shutil, signal, subprocess, sys, tempfile, time

BINARY = os.path.abspath(sys.argv[1])
KILLS = int(sys.argv[2]) if len(sys.argv) > 2 else 20
BACKEND = sys.argv[3] if len(sys.argv) > 3 else "cpu"
ENVIRONMENT = {**os.environ, "MLP_GPU_OFFLINE": "1"}
# Adam with dropout, momentum on images with augmentation, and a table that stops early.
RUNS = [
    ["--data", "digits", "--hidden", "64,32", "--optimizer", "adam", "--dropout", "0.2", "--epochs", "3"],
    ["--data", "digits", "--hidden", "32", "--optimizer", "momentum", "--augment", "shift:2,rotate:10", "--epochs", "2", "--batch-size", "32"],
    ["--data", "t.csv", "--hidden", "32,32", "--epochs", "60", "--early-stop", "8"],
]


def parameters(path):
    """The tensors of the layers, as a hash."""
    with open(path, "rb") as f:
        length = int.from_bytes(f.read(8), "little")
        header, data = json.loads(f.read(length)), f.read()
    names = sorted(name for name in header if name != "__metadata__")
    parts = [data[slice(*header[name]["data_offsets"])] for name in names]
    training = json.loads(header["__metadata__"]["mlp-gpu"])["training"]
    return hashlib.sha256(b"".join(parts) + json.dumps(training.get("slots")).encode()).hexdigest()


def epochs(log):
    return [json.loads(line)["epoch"] for line in open(log) if '"epoch":' in line]


def main():
    folder = tempfile.mkdtemp(prefix="kills-")
    os.chdir(folder)
    r = random.Random(3)
    with open("t.csv", "w") as f:
        f.write("a,b,c,label\n")
        for _ in range(3000):
            x = [r.random() for _ in range(3)]
            f.write(",".join(f"{v:.4f}" for v in x) + f",{int(sum(x) + 0.5 * r.random() > 1.7)}\n")
    killed = in_saves = wrong = rounds = 0
    while killed < KILLS:
        flags = ["train", *RUNS[rounds % len(RUNS)], "--seed", str(rounds), "--backend", BACKEND, "--quiet"]
        rounds += 1
        start = time.time()
        subprocess.run([BINARY, *flags, "--save", "whole.st", "--log", "whole.jsonl"], check=True, env=ENVIRONMENT)
        whole = time.time() - start
        for name in ["part.st", "part.jsonl", "c.st", "c.st.previous"]:
            if os.path.exists(name):
                os.remove(name)
        checkpoint = ["--checkpoint", "c.st", "--checkpoint-every", "0.01s", "--save", "part.st", "--log", "part.jsonl"]
        tries = 0
        while True:
            resume = ["train", "--resume", "c.st", "--backend", BACKEND, "--quiet"] if os.path.exists("c.st") else flags
            child = subprocess.Popen([BINARY, *resume, *checkpoint], env=ENVIRONMENT)
            if killed >= KILLS or tries >= 8:
                if child.wait() != 0:
                    sys.exit(f"a resumed run failed: {resume}")
                break
            tries += 1
            try:
                code = child.wait(timeout=random.uniform(0.02, 1.1) * whole)
                if code != 0:
                    sys.exit(f"a resumed run failed with {code}: {resume}")
                break
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
                child.wait()
                killed += 1
                in_saves += bool(glob.glob(".mlp-gpu-*"))
        same = parameters("part.st") == parameters("whole.st")
        logged = epochs("part.jsonl") == epochs("whole.jsonl")
        left = glob.glob(".mlp-gpu-*")
        wrong += not (same and logged and not left)
        print(f"{' '.join(flags[1:9])} ...: {tries} tries, bits {'same' if same else 'DIFFER'}, log {'whole' if logged else 'WRONG'}, {len(left)} files left", flush=True)
    print(f"{killed} kills, {in_saves} of them in a save; {rounds} runs, {wrong} wrong")
    shutil.rmtree(folder)
    sys.exit(wrong > 0)


main()
