#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How fast is a scan, and what do users notice of it?

Round by round on one image: a plain sequential read of main with O_DIRECT (fio, 1 MiB, one and four
in flight) against a scan of all of it, with nobody else about; then random reads of 4 KiB through
the mount, one at a time, without and with a scan that goes on. The goals: a scan at 0.95 of the
plain read with as many in flight or more, and a 99th percentile with the scan of at most 1.2 of that
without.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time

from bench import MIB, Contender


def fio(path, *arguments):
    run = subprocess.run(
        ["fio", "--name=load", f"--filename={path}", "--output-format=json", "--ioengine=io_uring",
         "--direct=1", *arguments], check=True, stdout=subprocess.PIPE)
    return json.loads(run.stdout)["jobs"][0]["read"]


def order(control, words):
    with open(os.path.join(control, "rescan"), "w") as rescan:
        rescan.write(words)


def state(control):
    with open(os.path.join(control, "rescan")) as rescan:
        return rescan.read().split()[4]


def scan_seconds(control):
    begin = time.monotonic()
    order(control, "start")
    while state(control) != "idle":
        time.sleep(0.02)
    return time.monotonic() - begin


def p99(path, control, seconds, with_scan):
    if with_scan:
        order(control, "start")
        time.sleep(0.2)
    load = fio(path, "--rw=randread", "--bs=4k", "--iodepth=1", "--time_based",
               f"--runtime={seconds}")
    if with_scan:
        going_on = state(control) == "running"
        order(control, "stop")
        if not going_on:
            raise SystemExit("the scan ended before the load did: take a larger image")
    return load["clat_ns"]["percentile"]["99.000000"]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="where the image is made")
    parser.add_argument("--size", type=int, default=2048, help="MiB")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of each random load")
    options = parser.parse_args()
    figures = {"read-1": [], "read-4": [], "scan": [], "p99": [], "p99-scan": []}
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="dmremap-scan-") as folder:
        disk = Contender("ours", folder, options.size * MIB)
        if not disk.start():
            raise SystemExit("the disk cannot be mounted")
        control = os.path.join(disk.mountpoint, "control")
        try:
            for _ in range(options.rounds):
                for depth in (1, 4):
                    load = fio(disk.image, "--rw=read", "--bs=1m", f"--iodepth={depth}")
                    figures[f"read-{depth}"].append(load["bw_bytes"] / MIB)
                figures["scan"].append(options.size / scan_seconds(control))
                figures["p99"].append(p99(disk.path, control, options.seconds, False) / 1000)
                figures["p99-scan"].append(p99(disk.path, control, options.seconds, True) / 1000)
        finally:
            disk.stop()
    for name, values in figures.items():
        unit = "us" if name.startswith("p99") else "MiB/s"
        print(f"{name:10} {statistics.median(values):10.1f} {unit:6} "
              f"({min(values):.1f} to {max(values):.1f})")
    middle = {name: statistics.median(values) for name, values in figures.items()}
    print(f"scan / read-1: {middle['scan'] / middle['read-1']:.2f}   "
          f"scan / read-4: {middle['scan'] / middle['read-4']:.2f}   (goal 0.95)")
    print(f"p99 with / without: {middle['p99-scan'] / middle['p99']:.2f}   (goal 1.2)")


if __name__ == "__main__":
    main()
