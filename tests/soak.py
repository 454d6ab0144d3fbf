#!/usr/bin/env python3
"""A run for hours: do its memory, file handles, threads or mappings grow?

    tests/soak.py target/release/mlp-gpu [SECONDS] [BACKEND] [FLAGS of train ...]

Trains with a checkpoint every 2 s for SECONDS (3600) and looks 200 times, from a minute on, when everything is there. It fails where
the median of the last quarter is above that of the first by more than 2 % and 2 MiB of resident memory, by a file handle, a thread, or
8 mappings; where the run ends before; or where SIGTERM does not end it with 143 and a checkpoint that loads. Linux and Python 3
alone. benches/results has a recorded run."""

import os, shutil, signal, statistics, subprocess, sys, tempfile, time

BINARY = os.path.abspath(sys.argv[1])
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 3600
BACKEND = sys.argv[3] if len(sys.argv) > 3 else "cpu"
FLAGS = sys.argv[4:] or ["--data", "digits", "--hidden", "32", "--optimizer", "adam", "--dropout", "0.1", "--augment", "shift:1"]
LOOKS = 200
# What may be added to the first quarter's median: a share of it, and a number.
MAY_GROW = {"resident KiB": (0.02, 2048), "file handles": (0, 0), "threads": (0, 0), "mappings": (0, 8)}


def look(pid):
    status = dict(line.split(":", 1) for line in open(f"/proc/{pid}/status"))
    return {"resident KiB": int(status["VmRSS"].split()[0]), "threads": int(status["Threads"]),
            "file handles": len(os.listdir(f"/proc/{pid}/fd")), "mappings": sum(1 for _ in open(f"/proc/{pid}/maps"))}


def main():
    folder = tempfile.mkdtemp(prefix="soak-")
    os.chdir(folder)
    environment = {**os.environ, "MLP_GPU_OFFLINE": "1", "NODEVICE_SELECT": "1"}
    command = [BINARY, "train", *FLAGS, "--backend", BACKEND, "--epochs", "1000000000", "--quiet", "--checkpoint", "c.st",
               "--checkpoint-every", "2s", "--log", "log.jsonl"]
    child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    start = min(60, SECONDS / 10)
    looks = []
    time.sleep(start)
    for _ in range(LOOKS):
        if child.poll() is not None:
            sys.exit(f"the run ended with {child.returncode}: {child.stderr.read().decode()}")
        looks.append(look(child.pid))
        time.sleep((SECONDS - start) / LOOKS)
    child.send_signal(signal.SIGTERM)
    told = child.communicate()[1].decode()
    loads = subprocess.run([BINARY, "inspect", "c.st"], env=environment, stdout=subprocess.DEVNULL).returncode == 0
    epochs = sum('"epoch":' in line for line in open("log.jsonl"))
    print(f"{' '.join(command[1:])}: {SECONDS:.0f} s, {epochs} epochs, checkpoints of {os.path.getsize('c.st')} bytes")
    quarter, grown = LOOKS // 4, False
    print("| | first quarter | last quarter | least | most |\n|---|---|---|---|---|")
    for what, (share, number) in MAY_GROW.items():
        found = [look[what] for look in looks]
        first, last = statistics.median(found[:quarter]), statistics.median(found[-quarter:])
        grows = last > first * (1 + share) + number
        grown |= grows
        print(f"| {what} | {first:.0f} | {last:.0f}{' GROWS' if grows else ''} | {min(found)} | {max(found)} |")
    shutil.rmtree(folder)
    if child.returncode != 143 or not loads:
        sys.exit(f"SIGTERM ended it with {child.returncode}, and the checkpoint {'loads' if loads else 'does not load'}: {told}")
    sys.exit(1 if grown else 0)


main()
