#!/usr/bin/env python3
"""Runs that are killed at random moments, a third of them during a save, and go on: do they end with the bits of a run that was never
stopped, and has their log each epoch once?

    tests/kills.py target/release/mlp-gpu [KILLS] [BACKEND] [SEED]

Each run is killed by SIGKILL until KILLS (20) are done in all, and then goes on to its end. A single network goes on from its
--checkpoint, which is written every 10 ms; networks of a pack go on from the folder of --parts, where each is kept once it is trained,
and are merged. A kill during a save is one that waits for the save's temporary file. Needs Python 3 alone. docs/faults.md has a
recorded run."""

import glob, hashlib, json, os, random, shutil, signal, subprocess, sys, tempfile, time

BINARY = os.path.abspath(sys.argv[1])
KILLS = int(sys.argv[2]) if len(sys.argv) > 2 else 20
BACKEND = sys.argv[3] if len(sys.argv) > 3 else "cpu"
RANDOM = random.Random(int(sys.argv[4]) if len(sys.argv) > 4 else 3)
ENVIRONMENT = {**os.environ, "MLP_GPU_OFFLINE": "1", "NODEVICE_SELECT": "1"}
# One run is killed so often at most.
TRIES = 8
# Adam with dropout; momentum on images with augmentation; a table that stops early; packs whose members leave at different epochs; packs
# of images with Adam.
RUNS = [
    ["--data", "digits", "--hidden", "64,32", "--optimizer", "adam", "--dropout", "0.2", "--epochs", "3"],
    ["--data", "digits", "--hidden", "32", "--optimizer", "momentum", "--augment", "shift:2,rotate:10", "--epochs", "2", "--batch-size", "32"],
    ["--data", "t.csv", "--hidden", "32,32", "--epochs", "60", "--early-stop", "8"],
    ["--data", "t.csv", "--hidden", "32,32", "--epochs", "60", "--early-stop", "8", "--members", "24"],
    ["--data", "digits", "--hidden", "16", "--optimizer", "adam", "--epochs", "2", "--members", "6"],
]
# Names of files while they are being written.
UNDER_WAY = [".mlp-gpu-*", "parts/.mlp-gpu-*"]


def parameters(path):
    """The tensors of the layers and the optimizer's state, as a hash."""
    with open(path, "rb") as f:
        length = int.from_bytes(f.read(8), "little")
        header, data = json.loads(f.read(length)), f.read()
    names = sorted(name for name in header if name != "__metadata__")
    parts = [data[slice(*header[name]["data_offsets"])] for name in names]
    metadata = json.loads(header["__metadata__"]["mlp-gpu"])
    slots = [member.get("training", {}).get("slots") for member in metadata.get("members", [metadata])]
    return hashlib.sha256(b"".join(parts) + json.dumps(slots).encode()).hexdigest()


def epochs(log):
    lines = [json.loads(line) for line in open(log)]
    return [(line.get("run"), line["epoch"]) for line in lines if "epoch" in line]


def under_way():
    return [path for name in UNDER_WAY for path in glob.glob(name)]


def clear(names):
    for name in names:
        if os.path.isdir(name):
            shutil.rmtree(name)
        elif os.path.exists(name):
            os.remove(name)


def ended(child, seconds, in_save):
    """Waits for so long, then for a save to begin if the kill is to fall into one; whether the process ended by itself."""
    try:
        child.wait(timeout=seconds)
        return True
    except subprocess.TimeoutExpired:
        pass
    while in_save and child.poll() is None and not under_way():
        pass
    return child.poll() is not None


def run(command):
    subprocess.run([BINARY, *command], check=True, env=ENVIRONMENT, stdout=subprocess.DEVNULL)


def main():
    folder = tempfile.mkdtemp(prefix="kills-")
    os.chdir(folder)
    with open("t.csv", "w") as f:
        f.write("a,b,c,label\n")
        for _ in range(3000):
            x = [RANDOM.random() for _ in range(3)]
            f.write(",".join(f"{v:.4f}" for v in x) + f",{int(sum(x) + 0.5 * RANDOM.random() > 1.7)}\n")
    killed = in_saves = of_packs = of_adam = wrong = rounds = 0
    while killed < KILLS:
        options = RUNS[rounds % len(RUNS)]
        pack, adam = "--members" in options, "momentum" not in options
        flags = ["train", *options, "--seed", str(100 * rounds), "--backend", BACKEND, "--quiet"]
        rounds += 1
        start = time.time()
        run([*flags, "--save", "whole.st", "--log", "whole.jsonl"])
        whole = time.time() - start
        clear(["part.st", "part.jsonl", "c.st", "c.st.previous", "parts"])
        files = ["--save", "part.st", "--log", "part.jsonl"]
        files += ["--shard", "1/1", "--parts", "parts"] if pack else ["--checkpoint", "c.st", "--checkpoint-every", "0.01s"]
        tries = 0
        while True:
            resume = ["train", "--resume", "c.st", "--backend", BACKEND, "--quiet"] if os.path.exists("c.st") else flags
            child = subprocess.Popen([BINARY, *resume, *files], env=ENVIRONMENT, stdout=subprocess.DEVNULL)
            done = killed >= KILLS or tries >= TRIES
            in_save = RANDOM.random() < 1 / 3
            if done and child.wait() == 0 or not done and ended(child, RANDOM.uniform(0.02, 0.2 if in_save else 1.0) * whole, in_save):
                break
            if done:
                sys.exit(f"a resumed run failed: {resume}")
            child.send_signal(signal.SIGKILL)
            child.wait()
            tries, killed, in_saves = tries + 1, killed + 1, in_saves + bool(under_way())
            of_packs, of_adam = of_packs + pack, of_adam + adam
        if child.returncode != 0:
            sys.exit(f"a resumed run failed with {child.returncode}: {resume}")
        if pack:
            run(["merge", "parts"])
        same = parameters("part.st") == parameters("whole.st")
        logged = epochs("part.jsonl") == epochs("whole.jsonl")
        left = under_way()
        wrong += not (same and logged and not left)
        print(f"{' '.join(options)}: {tries} kills, bits {'same' if same else 'DIFFER'}, log {'whole' if logged else 'WRONG'}, {len(left)} files left", flush=True)
    print(f"{killed} kills on {BACKEND}, {in_saves} of them in a save, {of_packs} of packs, {of_adam} of Adam or AdamW; {rounds} runs, {wrong} wrong")
    shutil.rmtree(folder)
    sys.exit(wrong > 0)


main()
