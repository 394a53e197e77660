#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What does it cost the data path that somebody polls control/events and control/metrics?

One disk, one load, the pollers in turn, round by round: nobody, and one that reads both files again
and again with a pause between two looks, or with none. Prints the requests a second beside each and
the share that is lost against nobody: the median of the rounds' ratios and their quartiles. "nobody
again" is the measure of the measure: a difference as small as its own is none. One that never pauses
takes a processor for itself; where there are few, the load has less of them, and its figure is of
that too.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import bench

# Seconds between two looks; None: nobody looks.
POLLERS = {"nobody": None, "nobody again": None, "one a second": 1.0, "10 a second": 0.1,
           "without pause": 0.0}


def poll(control, pause):
    """The poller's process: until its standard input ends. Prints how often it looked."""
    looks = 0
    os.set_blocking(0, False)
    while True:
        try:
            if os.read(0, 1) == b"":
                break
        except BlockingIOError:
            pass
        for name in ("events", "metrics"):
            with open(os.path.join(control, name), "rb", buffering=0) as text:
                while text.read(bench.MIB):
                    pass
        looks += 1
        time.sleep(pause)
    print(looks)


def one(disk, arguments, seconds, pause):
    """Requests a second, and looks a second."""
    if pause is None:
        return bench.load(disk, arguments, seconds)["iops"], 0.0
    control = os.path.join(disk.mountpoint, "control")
    poller = subprocess.Popen([sys.executable, __file__, "--poll", control, str(pause)],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        began = time.monotonic()
        iops = bench.load(disk, arguments, seconds)["iops"]
        took = time.monotonic() - began
    finally:
        looks = poller.communicate()[0]
    if poller.returncode != 0:
        raise RuntimeError("the poller failed")
    return iops, int(looks) / took


def measure(disk, name, options):
    arguments = bench.LOADS[name][0]
    rounds = {poller: [] for poller in POLLERS}
    looks = dict.fromkeys(POLLERS, 0.0)
    for _ in range(options.rounds):
        for poller, pause in POLLERS.items():
            iops, looks[poller] = one(disk, arguments, options.seconds, pause)
            rounds[poller].append(iops)
    print(f"\n{name}{'IOPS':>21}{'looks/s':>9}{'lost':>8}{'quartiles':>18}")
    for poller, values in rounds.items():
        lost = [100 * (1 - a / b) for a, b in zip(values, rounds["nobody"])]
        low, middle, high = statistics.quantiles(lost, n=4)
        print(f"  {poller:16}{statistics.median(values):14.0f}{looks[poller]:9.1f}{middle:7.1f}%"
              f"{low:9.1f}% {high:6.1f}%")
    sys.stdout.flush()


def main():
    if sys.argv[1:2] == ["--poll"]:
        poll(sys.argv[2], float(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=3, help="of each run of fio")
    parser.add_argument("--size", type=int, default=512, help="of the image, MiB")
    parser.add_argument("--loads", nargs="+", default=["randread-1", "randread-16"],
                        choices=list(bench.LOADS))
    parser.add_argument("--folder", default="/dev/shm")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="dmremap-polling-", dir=options.folder)
    disk = bench.Contender("ours-1", folder, options.size * bench.MIB)
    try:
        if not disk.start():
            sys.exit("the disk cannot be mounted here")
        print(f"polling control/events and control/metrics: median of {options.rounds} interleaved "
              f"rounds of {options.seconds} s, {os.cpu_count()} processors")
        for name in options.loads:
            measure(disk, name, options)
    finally:
        disk.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
