#!/usr/bin/env bash
# Default runs over seeds 0..9: final mean training loss and test accuracy, one line a run, then mean and range.
# Usage: benches/seeds.sh [FLAGS OF train], such as --data mnist --data-dir DIR --backend gpu
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --locked --quiet
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for seed in 0 1 2 3 4 5 6 7 8 9; do
  target/release/mlp-gpu train --seed "$seed" --quiet --log "$log" "$@"
  tail -n 1 "$log" | sed -E 's/.*"test_accuracy":([0-9.]+).*"train_loss":([0-9.]+).*/\2 \1/' | sed "s/^/seed $seed: /"
done | awk '
  { print; fflush(); loss = $3; accuracy = $4; n++; losses += loss; accuracies += accuracy
    if (n == 1 || loss < low) low = loss
    if (n == 1 || loss > high) high = loss
    if (n == 1 || accuracy < worst) worst = accuracy
    if (n == 1 || accuracy > best) best = accuracy }
  END { printf "train loss %.4f (%.4f to %.4f), test accuracy %.4f (%.4f to %.4f)\n",
               losses / n, low, high, accuracies / n, worst, best }'
