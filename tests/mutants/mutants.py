# SPDX-License-Identifier: GPL-2.0-or-later
"""The planted bugs: one patch a file, its leading text saying what it breaks.

A patch begins with lines `word: text`, up to the first line of the diff; a line that is indented
goes on with the one before.

    breaks:  the rule: a known mistake (M14), a promise (P4) or a rule of order, with its section
    bug:     what the patch makes the code do
    expect:  PROGRAM FILTER, a test program and a filter of GoogleTest: run first; may come again
"""

import fnmatch
import pathlib
import re
import subprocess
from dataclasses import dataclass, field

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent


class Unfit(Exception):
    """A patch that says too little, names a test that is not there, or does not apply."""


@dataclass
class Mutant:
    name: str
    path: pathlib.Path
    breaks: str = ""
    bug: str = ""
    expect: list = field(default_factory=list)  # (program, filter)
    files: list = field(default_factory=list)  # that it changes, relative to the root

    def apply(self, root, dry_run=False):
        # No fuzz: a bug planted in another place than the one meant proves nothing.
        command = ["patch", "-p1", "--fuzz=0", "--force", "--no-backup-if-mismatch", "-r", "-"]
        command += ["--dry-run"] if dry_run else []
        done = subprocess.run(command + ["-d", str(root), "-i", str(self.path)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise Unfit("does not apply: " + " ".join(done.stdout.split()))


def parse(path):
    mutant = Mutant(path.stem, path)
    words = []
    lines = path.read_text().splitlines()
    for line in lines:
        if line.startswith("--- "):
            break
        if line[:1].isspace() and words:
            words[-1][1] += " " + line.strip()
        elif ":" in line:
            words.append([part.strip() for part in line.split(":", 1)])
    for word, text in words:
        if word == "expect":
            mutant.expect.append(tuple(text.split(None, 1)))
        elif word in ("breaks", "bug"):
            setattr(mutant, word, text)
    mutant.files = [line[len("+++ b/"):].split("\t")[0] for line in lines
                    if line.startswith("+++ b/")]
    if not (mutant.breaks and mutant.bug and mutant.expect and mutant.files):
        raise Unfit("must say breaks, bug and expect, and change a file")
    return mutant


def names():
    return sorted(path.stem for path in HERE.glob("*.patch"))


def load(name):
    return parse(HERE / (name + ".patch"))


def known_tests():
    """Suite.Name of every test in the sources, as far as the text tells."""
    pattern = re.compile(r"^TEST(?:_F|_P)?\((\w+), (\w+)\)", re.MULTILINE)
    return {".".join(found) for source in (ROOT / "tests").glob("*/*_test.cpp")
            for found in pattern.findall(source.read_text())}


def check(mutant, tests):
    mutant.apply(ROOT, dry_run=True)
    for _, tests_filter in mutant.expect:
        for one in tests_filter.split(":"):
            # What instances of a parametrised test are called is not in its name in the source.
            suite_and_name = one.split("/")[1] if one.count("/") == 2 else one
            if not any(fnmatch.fnmatchcase(test, suite_and_name) for test in tests):
                raise Unfit("expects " + one + ", and no test is called so")
