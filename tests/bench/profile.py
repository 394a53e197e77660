#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Where does the time of a request go?

Serves an image in the ways of bench.py, one after the other, loads each with fio, and has perf look
at all processors meanwhile (cpu-clock, so no hardware counters are wanted). Prints, in microseconds
of processor time a request:

  client    fio and its system calls: the same for all, whoever serves
  kernel    of the serving processes: transport, file, scheduling
  code      of the serving processes outside the kernel: theirs and their libraries'
  other     interrupts and whoever else ran
  idle      of all processors

and the kernel's functions that the serving processes spend most in. `limit/x` is how many times as
fast as x a program could be that itself takes no time at all: what client and kernel take when a
FUSE daemon answers at once (null) stays. It holds where the processors are what is short, so where
idle is small. Figures of one run only; a machine that does other work tells lies.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile

import bench

HERTZ = 999


def report(data, *fields):
    """perf's samples by these fields: [(count, field...)]."""
    text = subprocess.run(["perf", "report", "-i", data, "--stdio", "-q", "-t", "|", "-F",
                           "sample," + ",".join(fields)],
                          check=True, capture_output=True, text=True).stdout
    rows = [[word.strip() for word in line.split("|")] for line in text.splitlines() if "|" in line]
    return [(int(row[0]), *row[1:]) for row in rows]


def tasks(pids):
    """Of their threads; helpers of the start may have ended since."""
    found = set()
    for pid in pids:
        try:
            found.update(os.listdir(f"/proc/{pid}/task"))
        except FileNotFoundError:
            pass
    return found


def look_at(contender, arguments, seconds, data):
    """Microseconds a request by place, and the kernel's functions likewise."""
    watcher = subprocess.Popen(["perf", "record", "-q", "-a", "-e", "cpu-clock", "-F", str(HERTZ),
                                "-o", data, "--", "sleep", str(seconds + 60)])
    try:
        speed = bench.load(contender, arguments, seconds)["iops"]
        server = tasks(contender.pids)
    finally:
        watcher.send_signal(2)
        watcher.wait()
    in_all = 1e6 / HERTZ / (speed * seconds)  # microseconds of a sample, a request
    places = dict.fromkeys(("client", "kernel", "code", "other", "idle"), 0.0)
    for count, task, dso in report(data, "pid", "dso"):
        number, _, name = task.partition(":")
        if number in server:
            place = "kernel" if dso.startswith("[") else "code"
        elif name.startswith(("fio", "iou-wrk")):
            place = "client"
        else:
            place = "idle" if name.startswith("swapper") else "other"
        places[place] += count * in_all
    functions = {}
    for count, task, symbol in report(data, "pid", "sym"):
        if task.partition(":")[0] in server and symbol.startswith("[k]"):
            functions[symbol[4:]] = functions.get(symbol[4:], 0.0) + count * in_all
    return speed, places, functions


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--size", type=int, default=512, help="of the image, MiB")
    parser.add_argument("--loads", nargs="+", default=["randread-16", "randread-1", "seqread-1m"],
                        choices=list(bench.LOADS))
    parser.add_argument("--contenders", nargs="+", default=["null", "bare", "ours", "qsd", "nbdfuse"],
                        choices=[name for name in bench.CONTENDERS if name != "raw"])
    parser.add_argument("--functions", type=int, default=6, help="of the kernel to print")
    parser.add_argument("--folder", default="/dev/shm", help="where the images are")
    options = parser.parse_args()
    if shutil.which("perf") is None:
        sys.exit("perf is not installed (package linux-perf)")
    bench.print_header(bench.machine())
    for name in options.loads:
        print(f"\n{name} (microseconds of processor time a request)")
        print(f"  {'':9}{'IOPS':>9}{'client':>8}{'kernel':>8}{'code':>8}{'other':>8}{'idle':>8}"
              f"{'all':>8}{'limit/x':>9}")
        least = None
        for contender_name in options.contenders:
            with tempfile.TemporaryDirectory(prefix="dmremap-profile-", dir=options.folder) as folder:
                contender = bench.Contender(contender_name, folder, options.size * bench.MIB)
                try:
                    if not contender.start():
                        print(f"{contender_name}: cannot be started here, left out", file=sys.stderr)
                        continue
                    speed, places, functions = look_at(contender, bench.LOADS[name][0],
                                                       options.seconds,
                                                       os.path.join(folder, "perf.data"))
                finally:
                    contender.stop()
            busy = sum(places.values()) - places["idle"]
            if contender_name == "null":
                least = places["client"] + places["kernel"] + places["other"]
            limit = f"{busy / least:9.2f}" if least else f"{'-':>9}"
            print(f"  {contender_name:9}{speed:9.0f}"
                  + "".join(f"{places[place]:8.2f}" for place in places) + f"{busy:8.2f}{limit}")
            most = sorted(functions, key=functions.get, reverse=True)[:options.functions]
            print(" " * 11 + ", ".join(f"{f} {functions[f]:.2f}" for f in most))
            sys.stdout.flush()


if __name__ == "__main__":
    main()
