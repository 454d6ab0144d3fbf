#!/usr/bin/env bash
# How the time of an epoch grows with batch size, width, depth and rows, and what bounds it, as tables in Markdown.
# Usage: benches/cost.sh [FLAGS OF mlp-gpu bench], such as --data mnist --backend cpu
# Each share is of the time that the epoch would take if there were nothing else to do: "arithmetic" at the rate of a large
# dense product, "memory" at that of a large copy, "launches" at the time of a step that does next to nothing (a network
# with one hidden unit, a batch of one row). The largest share is what bounds the epoch, or "latency" where each is below
# a third: work too small to fill the device, and the waits between its parts. ROWS is how many rows (default 20000);
# BINARY names another binary.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=${BINARY:-target/release/mlp-gpu}
[ -n "${BINARY:-}" ] || cargo build --release --locked --quiet
rows=${ROWS:-20000}
exec python3 - "$binary" "$rows" "$@" <<'PYTHON'
import json, subprocess, sys

binary, rows, flags = sys.argv[1], int(sys.argv[2]), sys.argv[3:]

def bench(hidden, batch, samples):
    own = ["--hidden", hidden, "--batch-size", str(batch), "--samples", str(samples)]
    command = [binary, "bench", "--json", *own, *flags]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{' '.join(command)}\n{run.stderr}")
    return json.loads(run.stdout)

floor = bench("1", 1, rows // 10)
step_s = floor["epoch_s"] / (rows // 10)
print(f"{floor['backend']}, {floor['adapter']}, plan {floor['plan']}: {step_s * 1e6:.1f} us a step at the least,",
      f"{floor['peak_gflops'] or 0:.0f} GFLOP/s, {floor['copy_gb_per_s'] or 0:.0f} GB/s")

def table(title, cases):
    print(f"\n| {title} | s an epoch | us a step | us a row | GFLOP/s | arithmetic | memory | launches | bound by |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, hidden, batch, samples in cases:
        run = bench(hidden, batch, samples)
        steps = -(-samples // batch)
        shares = {"arithmetic": run["peak_share"] or 0, "memory": run["copy_share"] or 0,
                  "launches": steps * step_s / run["epoch_s"]}
        bound = max(shares, key=shares.get)
        bound = bound if shares[bound] >= 1 / 3 else "latency"
        seconds = run["epoch_s"]
        cells = [f"{seconds:.4f}", f"{1e6 * seconds / steps:.1f}", f"{1e6 * seconds / samples:.2f}",
                 f"{run['gflops']:.1f}", *(f"{share:.2f}" for share in shares.values()), bound]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)

table(f"batch size, 784-128-10, {rows:,} rows",
      [(f"{batch:,}", "128", batch, rows) for batch in (1, 8, 64, 512, 4096)])
table(f"width, one hidden layer, batches of 64, {rows:,} rows",
      [(f"{width:,}", str(width), 64, rows) for width in (1, 7, 32, 128, 512, 2048)])
table(f"depth, hidden layers of 128 units, batches of 64, {rows:,} rows",
      [(f"{depth}", ",".join(["128"] * depth) or "none", 64, rows) for depth in (0, 1, 2, 4, 8)])
table("rows, 784-7-10, batches of 64", [(f"{count:,}", "7", 64, count) for count in (rows // 100, rows // 10, rows)])
PYTHON
