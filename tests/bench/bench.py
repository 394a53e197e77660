#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How fast is the disk, and against what?

Serves one image as a file in several ways, all mounted at the same time, and lets fio load them in
turn: round by round, each contender once in each round, so that what else the machine does falls on
all of them. Prints a table for each load: median and spread over the rounds, p50 and p99 of a
single request, CPU seconds of the serving processes per million requests (4k, 64k) or GiB (1M), and
the ratio to each of the contenders it is compared with (the median of the rounds' ratios). At the
end, how much memory the serving processes hold, against what they held before the first load.

  raw       the image file itself, no FUSE
  null      a FUSE daemon that answers at once and touches nothing: the transport's limit
  bare      a FUSE daemon that does pread and pwrite: the limit for one that serves a file
  qsd       qemu-storage-daemon's FUSE export
  nbdfuse   nbdkit file behind nbdfuse -C4
  ours      dmremapfs;  ours-1, ours-10: with 1 and 10 % of the blocks remapped
  uring     dmremapfs with io_uring=on; left out where the kernel does not offer it
  latest    the bare daemon with the newest libfuse; latest-u: by that libfuse's FUSE over io_uring, and
            left out where the kernel does not offer it. Both only in `make bench FUSE=latest`

What ours-10 pays against ours: hardly a region is without a remap, so each request is looked up in
the map (`core_bench --benchmark_filter='filter|cut'` prints that alone), and a long one is cut at
each remapped block into calls of its own, some tens for 1 MiB where ours makes one.

The loads called bound keep fio, not who serves it, on one processor, as qemu's threads can be kept.
With one request at a time much hangs on where the scheduler lets fio go on with each answer, and that
changes with what else runs, and with /proc/sys/kernel/sched_autogroup_enabled.

`/x` is how many times as fast as x. Backings: tmpfs shows what the path costs in CPU; a disk shows a
deep queue on a real device. Compare figures of one run only.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.environ.get("DMREMAP_BIN", os.path.join(HERE, "..", "..", "build", "bin"))
MIB = 1 << 20
BOUND = f" --cpus_allowed={min(os.sched_getaffinity(0))}"

# name, fio arguments, unit
LOADS = {
    "randread-1": ("--rw=randread --bs=4k --iodepth=1", "IOPS"),
    "randwrite-1": ("--rw=randwrite --bs=4k --iodepth=1", "IOPS"),
    "randread-1-bound": ("--rw=randread --bs=4k --iodepth=1" + BOUND, "IOPS"),
    "randwrite-1-bound": ("--rw=randwrite --bs=4k --iodepth=1" + BOUND, "IOPS"),
    "randread-16": ("--rw=randread --bs=4k --iodepth=16", "IOPS"),
    "randwrite-16": ("--rw=randwrite --bs=4k --iodepth=16", "IOPS"),
    "mixed-64k": ("--rw=randrw --bs=64k --iodepth=16", "IOPS"),
    "seqread-1m": ("--rw=read --bs=1m --iodepth=4", "MiB/s"),
    "seqwrite-1m": ("--rw=write --bs=1m --iodepth=4", "MiB/s"),
    "fsync-4k": ("--rw=randwrite --bs=4k --iodepth=1 --fsync=1", "IOPS"),
}
COMPARED = ["raw", "null", "bare", "qsd", "nbdfuse", "ours"]
CONTENDERS = ["raw", "null", "bare", "qsd", "nbdfuse", "ours", "ours-1", "ours-10", "uring"]
LATEST = os.environ.get("DMREMAP_LATEST_FUSE")  # the folder that latest_fuse has filled
if LATEST:
    CONTENDERS += ["latest", "latest-u"]


def tool(name):
    return os.path.join(BIN, name)


def io_uring_offered():
    try:
        with open("/sys/module/fuse/parameters/enable_uring") as switch:
            return switch.read().strip() == "Y"
    except OSError:
        return False


def wait_for(path, process):
    """Until the mount shows its file; a contender that cannot start is no contender."""
    for _ in range(500):
        if os.path.exists(path) and os.path.getsize(path) > 0:
            return True
        if process is not None and process.poll() is not None:
            return False
        time.sleep(0.02)
    return False


class Contender:
    """One way to serve the image: `path` is what fio loads, `pids` the processes that serve it."""

    def __init__(self, name, folder, size):
        self.name, self.path, self.pids, self.processes = name, None, [], []
        self.mountpoint = os.path.join(folder, name + ".mnt")
        self.image = os.path.join(folder, name + ".img")
        self.spare = os.path.join(folder, name + ".spare")
        with open(self.image, "wb") as image:
            piece = os.urandom(MIB)
            for _ in range(size // MIB):
                image.write(piece)
            os.fsync(image.fileno())
        os.makedirs(self.mountpoint, exist_ok=True)
        self.size = size

    def start(self):
        kind = self.name.split("-")[0]
        self.path = os.path.join(self.mountpoint, "disk.img")
        if kind == "raw":
            self.path = self.image
            return True
        if kind in ("null", "bare"):
            return self.spawn([tool("plain_daemon"), kind, self.image, self.mountpoint])
        if kind == "latest":
            over_io_uring = self.name == "latest-u"
            if over_io_uring and not io_uring_offered():
                return False  # libfuse would go on by /dev/fuse, and not say so
            return self.spawn([os.path.join(LATEST, "plain_daemon"), "bare", self.image,
                               self.mountpoint] + ["io_uring"] * over_io_uring)
        if kind == "qsd":
            self.path = os.path.join(self.mountpoint, "..", "qsd.file")
            open(self.path, "wb").close()
            self.mountpoint = self.path
            aio = "io_uring" if os.path.exists("/proc/sys/kernel/io_uring_disabled") else "threads"
            return self.spawn([
                "qemu-storage-daemon", "--blockdev",
                f"driver=file,node-name=f,filename={self.image},cache.direct=on,aio={aio}",
                "--export", f"type=fuse,id=e,node-name=f,mountpoint={self.path},writable=on"])
        if kind == "nbdfuse":
            return self.spawn(["nbdfuse", "-C", "4", self.path, "--command", "nbdkit", "-s",
                               "--exit-with-parent", "file", self.image])
        return self.start_ours()

    def start_ours(self):
        with open(self.spare, "wb") as spare:
            spare.truncate(max(16 * MIB, self.size // 4))
        run = dict(check=True, stdout=subprocess.DEVNULL)
        subprocess.run([tool("dmremapctl"), "format", "--main", self.image, "--spare", self.spare],
                       **run)
        share = self.name.partition("-")[2]
        if share:
            subprocess.run([tool("remap_share"), self.image, self.spare, share], **run)
        transport = "on" if self.name.startswith("uring") else "off"
        return self.spawn([tool("mount.dmremapfs"), self.image, self.mountpoint, "-o",
                           f"spare={self.spare},foreground,log_level=warning,io_uring={transport}"])

    def spawn(self, command):
        if shutil.which(command[0]) is None:
            return False
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.processes.append(process)
        if not wait_for(self.path, process):
            process.terminate()
            print(f"{self.name}: {process.stderr.read().decode().strip()}", file=sys.stderr)
            return False
        self.pids = [process.pid] + children(process.pid)
        return True

    def stop(self):
        if self.processes:
            subprocess.run(["fusermount3", "-u", self.mountpoint], stderr=subprocess.DEVNULL)
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.terminate()
                process.wait()

    def of_each(self, name):
        """This file of each process in /proc; helpers of the start may have ended since."""
        for pid in self.pids:
            try:
                with open(f"/proc/{pid}/{name}") as text:
                    yield text.read()
            except FileNotFoundError:
                pass

    def cpu_seconds(self):
        ticks = 0
        for text in self.of_each("stat"):
            fields = text.rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def resident_mib(self):
        pages = 0
        for text in self.of_each("statm"):
            pages += int(text.split()[1])
        return pages * os.sysconf("SC_PAGESIZE") / MIB


def children(pid):
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/children") as text:
                born = text.read().split()
        except FileNotFoundError:  # a thread that has ended since
            continue
        for child in born:
            found += [int(child)] + children(int(child))
    return found


def load(contender, arguments, seconds):
    """One fio run: (operations a second, bytes a second, p50 ns, p99 ns, CPU s per operation)."""
    before = contender.cpu_seconds()
    out = subprocess.run(
        ["fio", "--name=b", "--filename=" + contender.path, "--ioengine=io_uring", "--direct=1",
         "--time_based", f"--runtime={seconds}", f"--size={contender.size}", "--norandommap",
         "--randrepeat=1", "--output-format=json", "--group_reporting"] + arguments.split(),
        check=True, capture_output=True).stdout
    spent = contender.cpu_seconds() - before
    job = json.loads(out[out.index(b"{"):])["jobs"][0]
    sides = [job[side] for side in ("read", "write") if job[side]["total_ios"]]
    count = sum(side["total_ios"] for side in sides)
    main = max(sides, key=lambda side: side["total_ios"])
    percentile = main["clat_ns"]["percentile"]
    return {
        "iops": sum(side["iops"] for side in sides),
        "mibps": sum(side["bw_bytes"] for side in sides) / MIB,
        "p50_us": percentile["50.000000"] / 1000,
        "p99_us": percentile["99.000000"] / 1000,
        "cpu_us_per_io": spent / count * 1e6,
        "cpu_s_per_gib": spent / (sum(side["io_bytes"] for side in sides) / (1 << 30)),
    }


def summary(name, unit, rounds):
    key = "iops" if unit == "IOPS" else "mibps"
    cpu = "cpu_us_per_io" if unit == "IOPS" else "cpu_s_per_gib"
    middle = {}
    for contender, results in rounds.items():
        values = sorted(result[key] for result in results)
        middle[contender] = {
            "value": statistics.median(values),
            "spread": (values[-1] - values[0]) / statistics.median(values) / 2,
            "p50_us": statistics.median(result["p50_us"] for result in results),
            "p99_us": statistics.median(result["p99_us"] for result in results),
            "cpu": statistics.median(result[cpu] for result in results),
        }
    print(f"\n{name} ({unit}; CPU s per {'million requests' if unit == 'IOPS' else 'GiB'})")
    print(f"  {'':9}{'median':>10}{'+-':>6}{'p50 us':>9}{'p99 us':>9}{'CPU':>8}"
          + "".join(f"{'/' + other:>9}" for other in COMPARED))
    for contender, row in middle.items():
        line = (f"  {contender:9}{row['value']:10.0f}{row['spread'] * 100:5.0f}%{row['p50_us']:9.1f}"
                f"{row['p99_us']:9.1f}{row['cpu']:8.2f}")
        for other in COMPARED:
            if other in middle:
                # The median of the rounds' ratios: what a round had to bear, both had.
                ratio = statistics.median(a[key] / b[key]
                                          for a, b in zip(rounds[contender], rounds[other]))
                row["to_" + other] = ratio
                line += f"{ratio:9.2f}"
            else:
                line += f"{'-':>9}"
        print(line)
    sys.stdout.flush()
    return middle


def memory(contenders, before):
    """MiB in RAM of the serving processes, before the first load and after the last."""
    found = {}
    print("\nmemory (MiB, before and after)")
    for contender in contenders:
        if contender.pids:
            found[contender.name] = [before[contender.name], contender.resident_mib()]
            print(f"  {contender.name:9}{found[contender.name][0]:10.1f}"
                  f"{found[contender.name][1]:10.1f}")
    return found


def first_line(command):
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()[0]
    except (OSError, IndexError):
        return command[0] + ": not here"


def processor():
    with open("/proc/cpuinfo") as text:
        for line in text:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def machine():
    """What a figure is worth nothing without."""
    with open("/proc/loadavg") as loadavg:
        load_before = loadavg.read().split()[0]
    commands = (["fio", "--version"], [tool("dmremapfs"), "--version"],
                ["fusermount3", "--version"], ["qemu-storage-daemon", "--version"],
                ["nbdkit", "--version"], ["nbdfuse", "--version"])
    versions = [first_line(command) for command in commands]
    if LATEST:
        versions.append("latest: libfuse " + first_line(["cat", os.path.join(LATEST, "version")]))
    return {"processor": processor(), "processors": os.cpu_count(), "kernel": platform.release(),
            "load_before": float(load_before), "date": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
            "versions": versions}


def print_header(about):
    print(f"{about['processors']} x {about['processor']}, Linux {about['kernel']}, "
          f"load {about['load_before']} before; {about['date']}")
    print("  " + "; ".join(about["versions"]))


def print_method(options):
    print(f"  median of {options.rounds} interleaved rounds of {options.seconds} s, "
          f"images of {options.size} MiB")


def measure(backing, folder, options):
    folder = tempfile.mkdtemp(prefix="dmremap-bench-", dir=folder)
    contenders = []
    results = {}
    try:
        print(f"\nimages on {backing} ({folder})")
        for name in options.contenders:
            contender = Contender(name, folder, options.size * MIB)
            contenders.append(contender)
            if not contender.start():
                print(f"{name}: cannot be started here, left out", file=sys.stderr)
                contender.stop()
                contenders.pop()
        before = {contender.name: contender.resident_mib() for contender in contenders}
        for name in options.loads:
            arguments, unit = LOADS[name]
            rounds = {contender.name: [] for contender in contenders}
            for _ in range(options.rounds):
                for contender in contenders:
                    rounds[contender.name].append(load(contender, arguments, options.seconds))
            results[name] = {"unit": unit, "rounds": rounds,
                             "median": summary(name, unit, rounds)}
        results["memory"] = memory(contenders, before)
    finally:
        for contender in contenders:
            contender.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of each run of fio")
    parser.add_argument("--size", type=int, default=512, help="of the image, MiB")
    parser.add_argument("--loads", nargs="+", default=list(LOADS), choices=list(LOADS))
    parser.add_argument("--contenders", nargs="+", default=CONTENDERS, choices=CONTENDERS)
    parser.add_argument("--tmpfs", default="/dev/shm", help="folder on a tmpfs; '' leaves it out")
    parser.add_argument("--disk", default="/var/tmp", help="folder on a disk; '' leaves it out")
    parser.add_argument("--json", help="file for all results")
    options = parser.parse_args()
    results = {"machine": machine()}
    print_header(results["machine"])
    print_method(options)
    for backing, folder in (("tmpfs", options.tmpfs), ("disk", options.disk)):
        if folder:
            results[backing] = measure(backing, folder, options)
            print()
    if options.json:
        with open(options.json, "w") as out:
            json.dump(results, out, indent=1)


if __name__ == "__main__":
    main()
