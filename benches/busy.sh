#!/usr/bin/env bash
# Seconds of an epoch on the CPU while other programs keep the cores busy, as a table in Markdown: on one thread, and on
# more, which should take at most 1.15 times as long.
# Usage: benches/busy.sh [FLAGS OF mlp-gpu bench], such as --data mnist
# With BASE, another build of mlp-gpu, its times stand beside. ROUNDS (default 3) is how many runs of each, in turn, of which
# the median counts; EPOCHS (default 9) how many epochs a run; QUIET (default 0) how many more quiet runs of `notebook`, to
# see whether one is slow. WORKLOADS and LOADS choose rows; BINARY names another binary. A load is a number of busy loops,
# `core` for one core for all threads (taskset), or `threads-N` for N threads.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -n "${BINARY:-}" ] || cargo build --release --locked --quiet
export BINARY=${BINARY:-target/release/mlp-gpu} BASE=${BASE:-}
exec python3 - "$@" <<'PYTHON'
import json, os, statistics, subprocess, sys

flags = sys.argv[1:]
binaries = {"base": os.environ["BASE"]} if os.environ["BASE"] else {}
binaries["new"] = os.environ["BINARY"]
rounds, epochs = int(os.environ.get("ROUNDS", 3)), os.environ.get("EPOCHS", "9")
workloads = os.environ.get("WORKLOADS", "notebook tutorial deep").split()
loads = os.environ.get("LOADS", "0 1 2 4 core threads-4 threads-8").split()

def bench(binary, workload, threads, prefix=()):
    own = ["--backend", "cpu", "--workload", workload, "--threads", str(threads), "--epochs", epochs, "--json"]
    run = subprocess.run([*prefix, binary, "bench", *own, *flags], capture_output=True, text=True)
    if run.returncode:
        sys.exit(run.stderr)
    return json.loads(run.stdout)["epoch_s"]

def row(workload, load):
    threads, loops, prefix, name = 2, 0, (), "quiet"
    if load == "core":
        prefix, name = ("taskset", "-c", "0"), "one core"
    elif load.startswith("threads-"):
        threads = int(load.removeprefix("threads-"))
        name = f"{threads} threads"
    elif load != "0":
        loops = int(load)
        name = f"{loops} busy loop{'s' if loops > 1 else ''}"
    busy = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(loops)]
    times = {}
    try:
        for _ in range(rounds):
            for key, binary in binaries.items():
                for count in (1, threads):
                    times.setdefault((key, count), []).append(bench(binary, workload, count, prefix))
    finally:
        for loop in busy:
            loop.kill()
            loop.wait()
    median = {key: statistics.median(values) for key, values in times.items()}
    cells = [f"{median[key, count]:.4f}" for key in binaries for count in (1, threads)]
    worst = f"{median['new', threads] / min(median[key, 1] for key in binaries):.2f}"
    print(f"| {workload} | {name} | {' | '.join(cells)} | {worst} |", flush=True)

columns = [f"{key}, {count}" for key in binaries for count in ("1 thread", "more")]
print(f"| workload | load | {' | '.join(columns)} | new, more / 1 thread |")
print("|" + "---|" * (3 + len(columns)))
for workload in workloads:
    for load in loads:
        row(workload, load)
count = int(os.environ.get("QUIET", 0))
for key, binary in binaries.items() if count else ():
    times = sorted(bench(binary, "notebook", 2) for _ in range(count))
    print(f"\n{count} quiet runs of notebook, {key}: {times[0]:.4f} to {times[-1]:.4f}, median {statistics.median(times):.4f}")
PYTHON
