#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What does it cost the data path that somebody polls control/events and control/metrics?

The goal is less than 2 %, and few machines are so quiet that two runs of a load differ by less. So
there is one load, which goes on all the time, and one process that polls, which is told to go on and
to stop. A round is half a second without it, one with it and half a second without it again: what
slowly changes falls on both alike, and what a start costs on none. The requests are the disk's own
count. Each round gives one ratio; printed are the median of what was lost and the range that holds
the true median with 95 % (by ranks, so that a few wild rounds do not matter). "nobody" is a round in
which nobody is told to poll: its range shows what can be seen here and has 0 in it.

"under 2 %" says yes or no where all of the range is on that side; else "?": more --rounds, or a
quieter machine. One that polls without pause takes a processor for itself; where there are few, the
load has less of them, and its figure is of that too.
"""

import argparse
import math
import os
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import bench

# Seconds between two looks; None: nobody looks.
POLLERS = {"nobody": None, "one a second": 1.0, "10 a second": 0.1, "without pause": 0.0}
GOAL = 2.0  # percent


def poll(control):
    """The poller's process. Each byte read from standard input is answered, once it is obeyed, with a
    line: how many looks there were since the last. A digit is an index of POLLERS to go on with."""
    pause, next_look, looks = None, 0.0, 0
    while True:
        left = None if pause is None else max(0.0, next_look - time.monotonic())
        if select.select([0], [], [], left)[0]:
            order = os.read(0, 1)
            if order == b"":
                return
            pause = list(POLLERS.values())[int(order)]
            next_look = time.monotonic() + (pause or 0.0) / 2  # as many looks as seconds ask for
            os.write(1, b"%d\n" % looks)
            looks = 0
            continue
        for name in ("events", "metrics"):
            with open(os.path.join(control, name), "rb", buffering=0) as text:
                while text.read(bench.MIB):
                    pass
        looks += 1
        next_look += pause


class Poller:
    """That process; the load goes on between two orders."""

    def __init__(self, control):
        self.process = subprocess.Popen([sys.executable, __file__, "--poll", control],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def order(self, name):
        self.process.stdin.write(b"%d" % list(POLLERS).index(name))
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if line == b"":
            raise RuntimeError("the poller failed")
        return int(line)

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def requests(control):
    with open(os.path.join(control, "status")) as status:
        words = status.read().split()
    return int(words[6]) + int(words[7])


def rate(control, seconds):
    """Requests a second over as many seconds from now on."""
    before, began = requests(control), time.monotonic()
    time.sleep(seconds)
    after, ended = requests(control), time.monotonic()
    return (after - before) / (ended - began)


def one_round(control, poller, name, seconds):
    """What was lost, in percent; requests a second beside the poller; looks."""
    first = rate(control, seconds / 2)
    poller.order(name)
    beside = rate(control, seconds)
    looks = poller.order("nobody")
    last = rate(control, seconds / 2)
    alone = (first + last) / 2
    if alone == 0:
        raise RuntimeError("there is no load")
    return 100 * (1 - beside / alone), beside, looks


def range_of_median(values):
    """The narrowest pair of ranks around the median that holds the true one with 95 %."""
    values, count = sorted(values), len(values)
    outside, rank = 0.0, 0
    while outside + math.comb(count, rank) / 2**count <= 0.025:
        outside += math.comb(count, rank) / 2**count
        rank += 1
    if rank == 0:  # so few that not even all of them do
        return -math.inf, math.inf
    return values[rank - 1], values[count - rank]


def verdict(low, high):
    if high < GOAL:
        return "yes"
    return "no" if low > GOAL else "?"


def measure(disk, name, options):
    control = os.path.join(disk.mountpoint, "control")
    rounds = {poller: [] for poller in POLLERS}
    load = subprocess.Popen(
        ["fio", "--name=polled", "--filename=" + disk.path, "--ioengine=io_uring", "--direct=1",
         "--time_based", "--runtime=1000000", f"--size={disk.size}", "--norandommap",
         "--output=/dev/null"] + bench.LOADS[name][0].split())
    poller = Poller(control)
    try:
        began = requests(control)
        while requests(control) == began:
            if load.poll() is not None:
                raise RuntimeError("fio failed")
            time.sleep(0.01)
        rate(control, options.seconds)  # until it runs smoothly
        for _ in range(options.rounds):
            for who in POLLERS:
                rounds[who].append(one_round(control, poller, who, options.seconds))
    finally:
        poller.end()
        load.terminate()
        load.wait()
    print(f"\n{name}{'IOPS':>21}{'looks/s':>9}{'lost':>8}{'95 % range':>18}{'under 2 %':>11}")
    for who, results in rounds.items():
        lost, beside, looks = zip(*results)
        low, high = range_of_median(lost)
        print(f"  {who:16}{statistics.median(beside):14.0f}"
              f"{statistics.mean(looks) / options.seconds:9.1f}{statistics.median(lost):7.1f}%"
              f"{low:9.1f}% {high:6.1f}%{verdict(low, high):>11}")
    sys.stdout.flush()


def main():
    if sys.argv[1:2] == ["--poll"]:
        poll(sys.argv[2])
        return
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=1, help="beside a poller, in each round")
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
        about = bench.machine()
        print(f"polling control/events and control/metrics: {options.rounds} rounds of "
              f"{2 * options.seconds:g} s; {about['processors']} processors, "
              f"load {about['load_before']} before")
        for name in options.loads:
            measure(disk, name, options)
    finally:
        disk.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
