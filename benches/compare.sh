#!/usr/bin/env bash
# mlp-gpu and its peers in turn on the same workloads: seconds an epoch, and how many times faster than each peer.
# Usage: benches/compare.sh PEERS [FLAGS OF mlp-gpu bench]
# PEERS is a folder of scripts NAME.py that take --workload NAME --epochs N and print a line of JSON with `workload` and
# `epoch_s`; PYTHON runs them (default python3), WORKLOADS, EPOCHS and ROUNDS say what to run and how often (the median of
# the medians counts).
set -euo pipefail
cd "$(dirname "$0")/.."
peers=${1:?"usage: benches/compare.sh PEERS [FLAGS OF mlp-gpu bench]"}
shift
binary=${BINARY:-target/release/mlp-gpu}
[ -n "${BINARY:-}" ] || cargo build --release --locked --quiet
lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
for round in $(seq "${ROUNDS:-3}"); do
  for workload in ${WORKLOADS:-notebook tutorial deep wide}; do
    "$binary" bench --json --workload "$workload" --epochs "${EPOCHS:-3}" "$@" >>"$lines"
    for script in "$peers"/*.py; do
      [ "$(basename "$script")" = common.py ] && continue
      "${PYTHON:-python3}" "$script" --workload "$workload" --epochs "${EPOCHS:-3}" >>"$lines" ||
        echo "$(basename "$script") failed on $workload" >&2
    done
  done
done
"${PYTHON:-python3}" - "$lines" <<'PYTHON'
import collections, json, statistics, sys

times = collections.defaultdict(lambda: collections.defaultdict(list))
for line in open(sys.argv[1]):
    if line.startswith("{"):
        run = json.loads(line)
        times[run["workload"]][run["peer"]].append(run["epoch_s"])
print(f"{'workload':<10}{'':<16}{'median s':>10}{'rounds':>8}{'times slower':>14}")
for workload, peers in times.items():
    ours = statistics.median(peers["mlp-gpu"])
    for peer, seconds in sorted(peers.items(), key=lambda item: statistics.median(item[1])):
        median = statistics.median(seconds)
        print(f"{workload:<10}{peer:<16}{median:>10.4f}{len(seconds):>8}{median / ours:>14.2f}")
PYTHON
