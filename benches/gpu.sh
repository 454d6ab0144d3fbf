#!/usr/bin/env bash
# All that is to be known of one GPU in one run: adapters, self-check, every plan and precision on every workload, tuned
# and not, time a kernel, and peers in turn if there are some.
# Usage: benches/gpu.sh [FLAGS OF mlp-gpu bench], such as --data mnist --adapter 0
# BINARY names another binary; OUT is the folder of the results (default: a new one); PEERS holds commands, one a line,
# that take --workload NAME --epochs N and print a line of JSON, such as "python3 torch_eager.py --device=cuda --graph".
set -euo pipefail
cd "$(dirname "$0")/.."
binary=${BINARY:-target/release/mlp-gpu}
[ -n "${BINARY:-}" ] || cargo build --release --locked --quiet
out=${OUT:-$(mktemp -d)}
mkdir -p "$out"
# What is tuned here is measured anew, and leaves the user's own alone.
export MLP_GPU_CACHE="$out/cache"
say() { printf '\n== %s\n' "$*"; }
# A variant that an adapter cannot run says so, and the others go on.
bench() { "$binary" bench --backend gpu --json "$@" | tee -a "$out/bench.jsonl" || true; }

say adapters
"$binary" devices
say self-check
"$binary" check --backend gpu >"$out/check.txt" && tail -n 1 "$out/check.txt" || grep -v ' ok$' "$out/check.txt"
for plan in auto elementary resident; do
  for workload in notebook tutorial deep wide; do
    # The textbook is slow on large networks, and resident takes small ones only.
    case $plan-$workload in elementary-wide | resident-tutorial | resident-deep | resident-wide) continue ;; esac
    say "$workload, plan $plan"
    bench --workload "$workload" --plan "$plan" "$@"
  done
done
say mixed precision
for workload in deep wide; do bench --workload "$workload" --precision mixed "$@"; done
say time a kernel
"$binary" bench --backend gpu --profile --epochs 1 "$@" || true
say tuned
bench --tune "$@"
bench --tune --precision mixed --workload deep --workload wide "$@"
while IFS= read -r peer; do
  [ -n "$peer" ] || continue
  for workload in notebook tutorial deep wide; do
    say "$workload, $peer"
    $peer --workload "$workload" --epochs 3 </dev/null | tee -a "$out/peers.jsonl" || true
  done
done <<<"${PEERS:-}"
say "results are in $out"
