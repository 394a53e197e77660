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

With `--disk FOLDER` it looks at the disk below that folder instead, through the raw image, too (perf's
block events, so as root), and prints

  in flight  requests at the disk, on average
  at once    requests that the disk hands back together
  away       microseconds from then until it is given the next one (the median)
  there      microseconds from then until it hands back again (the median)

A disk that hands back all it has at once stands still while they are away, and however deep the queue
is, the first new one comes no sooner than one request's way through FUSE takes: `limit` is that, from
raw and from what null does with one request at a time. Every FUSE daemon is slower, as `away` says.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import bench

HERTZ = 999
DEPTH = re.compile(r"--iodepth=(\d+)")
TOLD = 0.9  # of the requests must be told of as they end: of some that end together Linux tells nothing
TOGETHER = 10  # microseconds between completions of one interrupt, at most; with perf in the way


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


def disk_of(folder):
    """MAJOR,MINOR of the whole disk, as the block events name it."""
    number = os.stat(folder).st_dev
    place = os.path.realpath(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    if os.path.exists(os.path.join(place, "partition")):
        place = os.path.dirname(place)
    try:
        with open(os.path.join(place, "dev")) as text:
            return text.read().strip().replace(":", ",")
    except FileNotFoundError:
        sys.exit(f"{folder} is on no block device")


def events_of(data, disk):
    """[(microseconds, whether it was issued)] of half a second."""
    text = subprocess.run(["perf", "script", "-i", data, "--ns", "-F", "time,event,trace"],
                          check=True, capture_output=True, text=True).stdout
    form = re.compile(r"(\d+\.\d+): +block:block_rq_(issue|complete): " + disk + " ")
    found = [form.search(line) for line in text.splitlines()]
    return sorted((float(event[1]) * 1e6, event[2] == "issue") for event in found if event)


def at_the_disk(events):
    """(completions at once, microseconds away, microseconds there), or None: too few are told of."""
    if sum(not issued for _, issued in events) < TOLD * sum(issued for _, issued in events):
        return None
    bursts, away, there = [], [], []
    count, began, last, next_one = 0, None, None, None
    for when, issued in events:
        if issued:
            if began is not None and next_one is None:
                next_one = when
                away.append(when - began)
            continue
        if last is None or when - last > TOGETHER:
            if count:
                bursts.append(count)
            if next_one is not None:
                there.append(when - next_one)
            count, began, next_one = 0, when, None
        count += 1
        last = when
    if not (bursts and away and there):
        return None
    return statistics.mean(bursts), statistics.median(away), statistics.median(there)


def in_flight_ms(disk):
    """What /proc/diskstats has added up of requests' times, reads and writes."""
    with open("/proc/diskstats") as text:
        for line in text:
            fields = line.split()
            if ",".join(fields[:2]) == disk:
                return int(fields[6]) + int(fields[10])
    return 0


def watch_disk(options):
    disk = disk_of(options.disk)
    with tempfile.TemporaryDirectory(prefix="dmremap-profile-", dir=options.disk) as folder:
        contenders = [bench.Contender(name, folder, options.size * bench.MIB)
                      for name in ["raw"] + [name for name in options.contenders if name != "raw"]]
        try:
            contenders = [contender for contender in contenders if contender.start()]
            for name in options.loads:
                print_disk(name, disk, contenders, options.seconds)
        finally:
            for contender in contenders:
                contender.stop()


def events_under_load(contender, arguments, disk):
    loading = threading.Thread(target=bench.load, args=(contender, arguments, 2))
    # A pipe is no place for it, and the disk that is looked at is none either.
    with tempfile.NamedTemporaryFile(prefix="dmremap-profile-", dir="/dev/shm") as data:
        loading.start()
        time.sleep(1)
        subprocess.run(["perf", "record", "-q", "-a", "-m", "4096", "-e",
                        "block:block_rq_issue,block:block_rq_complete", "-o", data.name, "--",
                        "sleep", "0.5"], check=True)
        loading.join()
        return events_of(data.name, disk)


def print_disk(name, disk, contenders, seconds):
    arguments = bench.LOADS[name][0]
    print(f"\n{name} (at the disk {disk})")
    print(f"  {'':9}{'IOPS':>9}{'/raw':>7}{'in flight':>11}{'at once':>9}{'away':>8}{'there':>8}")
    speeds = {}
    for contender in contenders:
        before = in_flight_ms(disk)
        speed = speeds[contender.name] = bench.load(contender, arguments, seconds)["iops"]
        in_flight = (in_flight_ms(disk) - before) / 1000 / seconds
        seen = at_the_disk(events_under_load(contender, arguments, disk))  # perf slows it
        print(f"  {contender.name:9}{speed:9.0f}{speed / speeds['raw']:7.2f}{in_flight:11.1f}"
              + ("".join(f"{value:{width}.1f}" for value, width in zip(seen, (9, 8, 8)))
                 if seen else "  too few requests are told of as they end"))
        sys.stdout.flush()
        if contender.name == "null":
            one = arguments.replace(DEPTH.search(arguments)[0], "--iodepth=1")
            null = 1e6 / bench.load(contender, one, seconds)["iops"]
    if "null" in speeds:
        round_ = int(DEPTH.search(arguments)[1]) * 1e6 / speeds["raw"]
        print(f"  limit{'':13}{round_ / (round_ + null):7.2f}  a round of raw {round_:.0f} us, "
              f"a request's way {null:.0f} us")


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
    parser.add_argument("--disk", metavar="FOLDER", help="look at the disk under FOLDER instead")
    options = parser.parse_args()
    if shutil.which("perf") is None:
        sys.exit("perf is not installed (package linux-perf)")
    bench.print_header(bench.machine())
    if options.disk:
        watch_disk(options)
        return
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
