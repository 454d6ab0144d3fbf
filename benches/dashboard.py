"""Pairs of runs at a terminal of 80 x 24, without and with --dashboard: wall and processor seconds.

    python3 benches/dashboard.py PAIRS PROGRAM [FLAGS of train ..]
"""

import fcntl
import os
import pty
import statistics
import struct
import sys
import termios
import time

WAIT = 0.1  # until the terminal has its size


def run(arguments):
    """Wall and processor seconds of a run at a terminal."""
    start = time.monotonic()
    child, terminal = pty.fork()
    if child == 0:
        time.sleep(WAIT)
        os.environ.update(TERM="xterm-256color", LC_ALL="C.UTF-8")
        os.execvp(arguments[0], arguments)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    try:
        while os.read(terminal, 1 << 16):
            pass
    except OSError:  # the end, on Linux
        pass
    _, status, usage = os.wait4(child, 0)
    os.close(terminal)
    if status:
        sys.exit(f"{' '.join(arguments)}: failed")
    return time.monotonic() - start - WAIT, usage.ru_utime + usage.ru_stime


if len(sys.argv) < 3:
    sys.exit(__doc__)
pairs, program, flags = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
times = {False: [], True: []}
for pair in range(pairs):
    # The first one of a pair is the other one the next time.
    for dashboard in sorted([False, True], reverse=pair % 2 == 1):
        times[dashboard].append(run([program, "train", *flags, *["--dashboard"] * dashboard]))
for which, name in enumerate(["wall", "processor"]):
    without, shown = ([found[which] for found in times[dashboard]] for dashboard in (False, True))
    ratios = sorted(b / a for a, b in zip(without, shown))
    print(
        f"{name}: {statistics.median(without):.3f} s without, {statistics.median(shown):.3f} s with; "
        f"ratio {statistics.median(ratios):.4f}, from {ratios[0]:.3f} to {ratios[-1]:.3f}"
    )
