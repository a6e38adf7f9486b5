# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What atop recorded, read by atop itself an hour at a time, the newest first.

atop has to unpack each sample whole, whatever is asked of it: 3 ms of processor time at 290
processes, so that a day of samples a minute apart takes 4 s, but what lies before and behind the
hour costs nothing (measured with atop 2.8.1). The fields are those that 2.6 to 2.11 have alike.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import Iterator

from ansible_collections.wpward.wordpress.plugins.module_utils.files import names_in
from ansible_collections.wpward.wordpress.plugins.module_utils.recorder_sample import Sample, share
from ansible_collections.wpward.wordpress.plugins.module_utils.timed_command import ask

_LABELS = "CPU,CPL,MEM,SWP,DSK,PRG"
_HOUR = 3600
_FILE = re.compile(r"atop_(\d{8})\Z")
_DISK_TIME_PER_SECOND = 1000
_AVAILABLE = 24
"""The field of MEM in which 2.11 writes the kernel's own estimate of what can be had without
swapping. Ours, for those before it, was 2 % above it."""
# A command may hold spaces and parentheses, so the text of the process's own choosing ends the
# name as late as the state and the ids behind it allow.
_PROCESS = re.compile(
    rb"PRG \S+ \d+ \S+ \S+ \d+ (?P<pid>\d+) \((?P<name>.{0,15})\) (?P<state>[A-Za-z?]) "
    rb"(?P<user>\d+) \d+ (?P<group>\d+) "
)
_WORKER = re.compile(rb"(?:php-fpm[0-9.]*|apache2|httpd)\Z")
_OWN = b"atop"


@dataclass
class _Block:
    """The lines of one sample so far."""

    sample: Sample | None = None
    from_boot: bool = False
    """Whether the counters go back to the host's start, as in the first sample of each start."""
    processes: set[bytes] = field(default_factory=set)
    running: set[bytes] = field(default_factory=set)
    workers: set[bytes] = field(default_factory=set)

    def finished(self) -> Sample | None:
        sample = self.sample
        if sample is None:
            return None
        if self.processes:
            sample.processes = len(self.processes)
            sample.running = len(self.running)
            sample.web_workers = len(self.workers)
        if self.from_boot:
            sample.cpu_busy = sample.io_busy = None
        return sample


def _read_process(block: _Block, line: bytes) -> None:
    found = _PROCESS.match(line)
    if found is None or found["state"] == b"E":
        return
    block.processes.add(found["group"])
    if found["state"] == b"R" and found["name"] != _OWN:
        # The recorder itself runs in each of its samples.
        block.running.add(found["pid"])
    if found["user"] != b"0" and _WORKER.match(found["name"]):
        block.workers.add(found["group"])


def _read_system(sample: Sample, label: bytes, seconds: float, words: list[bytes]) -> None:
    if label == b"CPU":
        system, user, nice, idle, wait, irq, softirq, steal = (float(one) for one in words[2:10])
        busy = system + user + nice + irq + softirq + steal
        sample.cpu_busy = share(busy, busy + idle + wait)
    elif label == b"CPL":
        sample.load = float(words[1])
    elif label == b"MEM":
        size, free, cache, buffers = (int(words[place]) for place in (0, 2, 3, 4))
        reclaimable, shared = int(words[7]), int(words[9])
        pages = free + cache + buffers + reclaimable - shared
        if len(words) > _AVAILABLE:
            pages = int(words[_AVAILABLE])
        sample.memory_available = max(pages, 0) * size
    elif label == b"SWP":
        sample.swap_used = max(int(words[1]) - int(words[2]), 0) * int(words[0])
    elif label == b"DSK":
        busy_disk = share(float(words[1]), seconds * _DISK_TIME_PER_SECOND)
        sample.io_busy = max(sample.io_busy or 0.0, busy_disk or 0.0)


def samples_of(output: bytes) -> Iterator[Sample]:
    """The samples in what ``atop -P`` printed. A line that is not understood is left out; so is a
    sample that the output breaks off in."""
    block = _Block()
    for line in output.splitlines():
        if line.startswith(b"PRG "):
            _read_process(block, line)
        elif line == b"SEP":
            sample = block.finished()
            if sample is not None:
                yield sample
            block = _Block()
        elif line == b"RESET":
            block.from_boot = True
        else:
            words = line.split()
            try:
                if block.sample is None:
                    block.sample = Sample(int(words[2]))
                _read_system(block.sample, words[0], float(words[5]), words[6:])
            except (ValueError, IndexError):
                continue


def day_files(directory: str) -> dict[str, str]:
    """The recorder's files by their day (``20261122``)."""
    found = {}
    for name in names_in(directory):
        match = _FILE.match(name)
        if match:
            found[match.group(1)] = f"{directory}/{name}"
    return found


def _hours(since: float, until: float) -> Iterator[tuple[str, list[str]]]:
    """Day and options of each local hour of the window, the newest first."""
    begin = until - until % _HOUR
    while begin + _HOUR > since:
        first, last = (
            time.strftime("%Y%m%d%H%M", time.localtime(one)) for one in (begin, begin + _HOUR)
        )
        day = first[:8]
        # The end is that minute's first second; the last sample of a day is written at midnight.
        yield day, ["-b", first, *(["-e", last] if last.startswith(day) else [])]
        begin -= _HOUR


def read(
    binary: str, directory: str, since: float, until: float, deadline: float
) -> tuple[list[Sample], bool]:
    """The samples between two moments (seconds since the epoch), the newest hour first, and
    whether all of them could be read before ``deadline`` (``time.monotonic()``)."""
    files = day_files(directory)
    found: list[Sample] = []
    for day, hour in _hours(since, until):
        if day not in files:
            continue
        argv = [binary, "-r", files[day], *hour, "-P", _LABELS]
        code, stdout, _stderr = ask(argv, deadline)
        if code is None:
            return found, False
        found += [one for one in samples_of(stdout) if since <= one.at <= until]
    return found, True
