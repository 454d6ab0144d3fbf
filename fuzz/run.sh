#!/usr/bin/env bash
# Fuzzes the readers of bytes from outside: fuzz/run.sh BINARY [SECONDS [TARGET ...]], with the program as BINARY, which makes the seeds.
# Each target runs for SECONDS (900), goes on after a finding, and ends with a line of executions, coverage (edges), corpus and
# findings; these lie in fuzz/artifacts. A target that is not built or does not run makes the script fail once the others have run.
# Needs a nightly toolchain and cargo-fuzz.
#
# Without a sanitizer: what is looked for are panics, overflows, loops and memory, and there is little unsafe code to go wrong.
# SANITIZER=address looks for that too, at a third of the speed.
set -euo pipefail
binary=$(realpath "$1")
cd "$(dirname "$0")"
seconds=${2:-900}
targets=("${@:3}")
if [ ${#targets[@]} -eq 0 ]; then targets=(table columnar arrays model metadata picture options run); fi
python3 seeds.py "$binary"
# Readers take files by their paths.
if [ -d /dev/shm ]; then export TMPDIR=/dev/shm; fi
code=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for target in "${targets[@]}"; do
  mkdir -p "corpus/$target"
  # A finding may decide the exit code: what ran is known by its last line.
  last=
  if cargo +nightly fuzz build --sanitizer "${SANITIZER:-none}" "$target" >"$log" 2>&1; then
    cargo +nightly fuzz run --sanitizer "${SANITIZER:-none}" "$target" "corpus/$target" "seeds/$target" -- -fork=1 -ignore_crashes=1 \
      -ignore_ooms=1 -ignore_timeouts=1 -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 >"$log" 2>&1 || true
    last=$(grep -E '^#[0-9]+: cov' "$log" | tail -1 || true)
  fi
  if [ -n "$last" ]; then
    echo "$target: $last"
  else
    code=1
    echo "error: $target was not built or did not run:" >&2
    tail -20 "$log" >&2
  fi
done
exit "$code"
