#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Holds the JSON of dmremapctl to its schema, and the manual to the same.

    schema.py check MANUAL NAME FILE    FILE is what `dmremapctl NAME --json` printed
    schema.py names                     the names there are, one a line

Keys are never renamed nor removed: whoever changes SCHEMA for more than a new key breaks somebody's
script. A key that the schema lacks is a failure too, so that none comes without a word in the manual.
"""

import json
import re
import sys

# int: from 0 on, no more than a 64-bit number. A tuple: one of these. A list of one: a list of such.
# ANY_NUMBERS and the like: an object whose names are those of a control file.
NULL = type(None)
ANY_NUMBERS, ANY_VALUES, EVENT = "numbers", "values", "event"


def optional(kind):
    return (kind, NULL)


REASONS = [{"name": str, "text": str}]
IDENTITY = {"sha256": str, "text": str}
SUPERBLOCK = {
    "uuid": str, "label": str, "version": int,
    "features": {"compat": int, "ro_compat": int, "incompat": int},
    "sequence": int, "created_unix": int, "written_unix": int, "clean": bool, "in_use": bool,
    "holder": optional({"name": str, "pid": int, "start_ticks": int, "since_unix": int,
                        "machine": str, "boot": str, "verdict": str}),
    "main": {"size_bytes": int, "logical_block_bytes": int, "identity": IDENTITY},
    "spare": {"size_bytes": int, "logical_block_bytes": int, "physical_block_bytes": int,
              "identity": IDENTITY},
    "slots": int, "slot_bytes": int, "page_bytes": int, "first_table_offset_bytes": int,
    "first_slot_offset_bytes": int, "second_table_offset_bytes": int, "table_ready": int,
    "live_remaps": int, "entry_epoch": int, "witness": {"taken": bool, "blocks": int},
    "params": {"read_retries": int, "remap_on_read_error": int, "lost_retry_minutes": int,
               "breaker_regions": int, "background_scanning": int, "scan_interval_hours": int,
               "scan_speed_max_kib": int, "relocate_weak": int},
    "scan": {"cursor_sector": int, "pass_start_unix": int, "pass_end_unix": int, "passes": int,
             "found": int},
}
TABLE = {"entries": int, "remapped": int, "free": int, "bad_slots": int, "lost_sectors": int,
         "retry_sectors": int, "one_copy": int, "stale": int, "superseded": int, "no_copy": int,
         "conflicts": int, "above_ready": int}
MOVED = {"target": str, "sector": int, "count_sectors": int, "changed_blocks": int,
         "unchanged_blocks": int, "refused_blocks": int, "first_refused_sector": optional(int)}
ERROR = {"kind": str, "message": str}
EVENT_ALWAYS = {"id": int, "time_unix": int, "time_ns": int, "kind": str}
EVENT_OF_SOME = {"sector": int, "blocks": int, "count": int, "text": str}

SCHEMA = {
    "format": {"uuid": str, "label": str, "main": str, "main_size_bytes": int, "spare": str,
               "spare_size_bytes": int, "slots": int, "slot_bytes": int, "superblock_copies": int,
               "mount_command": str},
    "examine": {"spare": str,
                "copies": [{"offset_bytes": int, "verdict": str, "read_error": int,
                            "sequence": int, "newest": bool}],
                "superblock": optional(SUPERBLOCK), "table": optional(TABLE),
                "repairable": [str], "fatal": [str]},
    "check": {"spare": str, "verdict": str, "repairable": [str], "fatal": [str],
              "repaired": [str]},
    "list": {"disks": [{"mount_point": str, "main": optional(str), "spare": optional(str),
                        "uuid": optional(str), "state": optional(str),
                        "size_bytes": optional(int)}]},
    "status": {"target": str, "kind": str, "uuid": str, "state": str, "version": str, "mode": str,
               "main": str, "spare": str, "size_sectors": int, "size_bytes": int, "reads": int,
               "writes": int, "remaps": int, "errors": int, "active_mappings": int, "io_ops": int,
               "total_time_ns": int, "reasons": REASONS, "stats": ANY_NUMBERS},
    "status-of-a-spare": {"target": str, "kind": str, "state": str, "superblock": SUPERBLOCK},
    "health": {"target": str, "state": str, "remapped_blocks": int, "lost_sectors": int,
               "retry_sectors": int, "slots_free": int, "slots_free_percent": int,
               "retired_pages": int, "main_errors": int, "spare_errors": int, "advice": str,
               "reasons": REASONS, "score": int, "because": [str], "trend": str,
               "spare_full": str, "weak_blocks": int, "metadata_repairs": int,
               "scan_passes": int, "last_scan_unix": int, "smart": optional(ANY_VALUES)},
    "stats": {"target": str, "stats": ANY_NUMBERS},
    "metrics": {"target": str, "output": NULL, "metrics": str},
    "metrics-to-a-file": {"target": str, "output": str},
    "events": {"target": str, "events": [EVENT]},
    "map": {"target": str, "size_sectors": int, "scanned_sectors": int, "remapped_blocks": int,
            "lost_sectors": int, "weak_blocks": int, "cell_sectors": int, "glyphs": str,
            "svg": optional(str)},
    "watch": {"target": str, "pictures": [{"state": str, "stats": ANY_NUMBERS}]},
    "query": {"target": str, "sector": int, "place": str},
    "query-of-a-remap": {"target": str, "sector": int, "place": str, "spare_sector": int,
                         "slot": int, "reason": str, "time_unix": int, "lost": bool,
                         "retry": bool},
    "query-of-a-fence": {"target": str, "sector": int, "place": str, "advice": str},
    "remap": MOVED,
    "unmap": MOVED,
    "unmap-refused": {**MOVED, "error": ERROR},
    "salvage": {"target": str, "salvaged_sectors": int, "lost_sectors": int,
                "retry_sectors": int},
    "scan": {"target": str, "state": str, "waits_for": str, "done_sectors": int,
             "total_sectors": int, "bytes_per_second": int, "eta_seconds": optional(int),
             "found_blocks": int, "found_ever_blocks": int, "weak_blocks": int, "passes": int,
             "last_end_unix": int},
    "get": {"target": str, "parameters": ANY_VALUES},
    "set": {"target": str, "parameters": ANY_VALUES},
    "table": {"target": str, "size_sectors": int, "main": str, "spare": str, "table": str},
    "activate": {"name": str, "device": str, "main": str, "spare": str, "uuid": str,
                 "size_sectors": int, "read_only": bool, "active": bool, "table": str},
    "stop": {"target": str, "closed_clean": optional(bool)},
    "rebind": {"main": str, "spare": str, "changed": bool, "difference": str},
    "error": {"error": ERROR},
}


def wrong(value, kind, place):
    """What is wrong with a value, as sentences."""
    if isinstance(kind, tuple):
        found = [wrong(value, one, place) for one in kind]
        return min(found, key=len)
    if isinstance(kind, dict):
        if not isinstance(value, dict):
            return [f"{place} is no object"]
        lines = [f"{place} has no {key}" for key in kind if key not in value]
        lines += [f"{place} has {key}, which the schema lacks" for key in value if key not in kind]
        for key in kind:
            if key in value:
                lines += wrong(value[key], kind[key], f"{place}.{key}")
        return lines
    if isinstance(kind, list):
        if not isinstance(value, list):
            return [f"{place} is no list"]
        return [line for at, one in enumerate(value)
                for line in wrong(one, kind[0], f"{place}[{at}]")]
    if kind == EVENT:
        known = dict(EVENT_ALWAYS)
        known.update((key, one) for key, one in EVENT_OF_SOME.items() if key in value)
        # Those before the mount have numbers below 0.
        return wrong(dict(value, id=abs(value.get("id", 0))), known, place)
    if kind in (ANY_NUMBERS, ANY_VALUES):
        if not isinstance(value, dict) or not value:
            return [f"{place} is no object with values"]
        allowed = (int,) if kind == ANY_NUMBERS else (int, bool, str)
        return [f"{place}.{key} is {one!r}" for key, one in value.items()
                if not isinstance(one, allowed) or (kind == ANY_NUMBERS and isinstance(one, bool))]
    if kind is int:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 64:
            return [f"{place} is {value!r}, no whole number"]
    elif not isinstance(value, kind):
        return [f"{place} is {value!r}, not a {kind.__name__}"]
    return []


def keys_of(kind):
    if isinstance(kind, dict):
        return set(kind).union(*[keys_of(value) for value in kind.values()], set())
    if isinstance(kind, (list, tuple)):
        return set().union(*[keys_of(one) for one in kind])
    return set()


def manual_words(path):
    """The words of the manual's section on JSON."""
    with open(path, encoding="utf-8") as manual:
        text = manual.read()
    section = text[text.index("\n.SH JSON\n"):]
    section = section[:section.index("\n.SH ", 1)]
    words = {}
    for part in re.split(r"\n\.TP\n", section)[1:]:
        head, _, rest = part.partition("\n")
        for name in re.findall(r"[a-z][a-z_-]+", re.sub(r"^\.[A-Z]+ ", "", head)):
            words.setdefault(name, set()).update(re.findall(r"[a-z][a-z0-9_]*", rest))
    words["error"] = set(re.findall(r"[a-z][a-z0-9_]*", section.split("\n.TP\n")[0]))
    return words


def check(manual, name, path):
    kind = SCHEMA[name]
    with open(path, encoding="utf-8") as text:
        lines = wrong(json.load(text), kind, name)
    words = manual_words(manual)
    verb = name.partition("-")[0]
    told = words[verb] | words["superblock"] | words["error"]
    told |= words["table"] if verb == "examine" else set()
    lines += [f"the manual's section on JSON lacks {key} of {name}"
              for key in sorted(keys_of(kind) - told)]
    return lines


def main():
    if sys.argv[1:] == ["names"]:
        print("\n".join(SCHEMA))
        return
    _, _, manual, name, path = sys.argv
    lines = check(manual, name, path)
    if lines:
        sys.exit("\n".join(lines))


if __name__ == "__main__":
    main()
