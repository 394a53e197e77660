# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a GoogleTest program and says which test failed first: by a failed check, by a crash, or by
not coming to an end."""

import os
import queue
import re
import resource
import signal
import subprocess
import threading
from dataclasses import dataclass


@dataclass
class Outcome:
    ran: int = 0
    skipped: int = 0
    failed: str = ""  # the test, "" if none
    how: str = ""  # "failed", "crashed: SIGSEGV", "hung"


def limits():
    """In the child. What runs away with the memory shall be the first that the kernel ends."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with open("/proc/self/oom_score_adj", "w") as score:
        score.write("1000")


def end(process):
    """Ends what hangs; it is a process group of its own."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run(program, tests_filter, seconds_a_test, log):
    """Runs the tests that the filter names until one fails; `log` receives what they print."""
    outcome = Outcome()
    environment = dict(os.environ, GTEST_FAIL_FAST="1", GTEST_COLOR="no")
    process = subprocess.Popen(
        [str(program), "--gtest_filter=" + tests_filter], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment,
        start_new_session=True, preexec_fn=limits, text=True, errors="replace")
    lines = queue.SimpleQueue()

    def read():
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    current = ""
    silent = 0  # seconds that were waited for, not seconds that went by: we may have been stopped
    while True:
        try:
            # Each line shows that it lives; a test says nothing until it ends.
            line = lines.get(timeout=1)
        except queue.Empty:
            silent += 1
            if silent < seconds_a_test:
                continue
            end(process)
            return Outcome(outcome.ran, outcome.skipped, current or program.name, "hung")
        silent = 0
        if line is None:
            break
        log.write(line)
        found = re.match(r"\[ +(RUN|OK|SKIPPED|FAILED) +\] (\S+\.[^ ,]+)", line)
        if found is None:
            continue
        word, name = found.group(1), found.group(2)
        if word == "RUN":
            current = name
            outcome.ran += 1
        elif word == "SKIPPED" and name == current:
            outcome.skipped += 1
            current = ""
        elif word == "FAILED" and not outcome.failed:
            outcome.failed, outcome.how = name, "failed"
        elif word == "OK":
            current = ""
    status = process.wait()
    if status != 0 and not outcome.failed:
        how = "crashed: " + signal.Signals(-status).name if status < 0 else "ended early"
        outcome.failed, outcome.how = current or program.name, how
    return outcome
