"""Runs fieldtape and its rivals over the same recordings and prints what each costs and hears.

Only the standard library here: this process stays small, for a child's peak memory counts what
its parent had when it was started.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import rivals

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "target" / "speech"


def arguments():
    parser = argparse.ArgumentParser(prog="benches/speech", description=__doc__)
    parser.add_argument("--corpus", action="append", default=[], metavar="DIR",
                        help="a folder with refs.tsv and calls; FIELDTAPE_CORPUS names one too")
    parser.add_argument("--call", action="append", default=[], metavar="WAV",
                        help="a recording of two parties, with its turns in a .json beside it")
    parser.add_argument("--no-bundled", action="store_true",
                        help="leave out the recordings of tests/assets")
    parser.add_argument("--minutes", type=float, default=15, help="length of the repeated call")
    parser.add_argument("--runs", type=int, default=3, help="interleaved runs; medians count")
    parser.add_argument("--threads", type=int, default=1, help="threads of each engine")
    parser.add_argument("--language", default="en", help="the language spoken")
    parser.add_argument("--base", metavar="MODEL", help="a second ggml model for fieldtape")
    parser.add_argument("--only", action="append", default=[], metavar="NAME",
                        help="only contenders whose name begins so")
    parser.add_argument("--fieldtape", metavar="PROGRAM", help="this program, not a fresh build")
    parser.add_argument("--quick", action="store_true", help="a smoke run")
    wanted = parser.parse_args()
    if os.environ.get("FIELDTAPE_CORPUS"):
        wanted.corpus.append(os.environ["FIELDTAPE_CORPUS"])
    if wanted.quick:
        wanted.minutes, wanted.runs = min(wanted.minutes, 2), 1
    return wanted


def run(commands):
    """Runs commands one after the other; returns CPU seconds, wall seconds, peak MiB, output."""
    cpu_s, wall_s, peak_kib, output = 0.0, 0.0, 0, []
    for command in commands:
        began = time.monotonic()
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                 env={**os.environ, **rivals.ENVIRONMENT})
        text = child.stdout.read()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        wall_s += time.monotonic() - began
        if child.returncode != 0:
            raise SystemExit(f"failed ({child.returncode}): {' '.join(map(str, command))[:300]}")
        cpu_s += used.ru_utime + used.ru_stime
        peak_kib = max(peak_kib, used.ru_maxrss)
        output.append(text.decode())
    return {"cpu_s": cpu_s, "wall_s": wall_s, "peak_mib": peak_kib / 1024, "output": output}


def main():
    wanted = arguments()
    WORK.mkdir(parents=True, exist_ok=True)
    python = rivals.python(WORK)
    plan = WORK / "material.json"
    subprocess.run([python, Path(__file__).with_name("material.py"), plan, *material(wanted)],
                   check=True, cwd=ROOT)
    sets = json.loads(plan.read_text())
    contenders, skipped = rivals.contenders(wanted, WORK, ROOT)
    for why in skipped:
        print(f"skipped: {why}")
    print(f"machine: {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
          f"{wanted.threads} thread(s) each, medians of {wanted.runs} interleaved run(s)")
    results = {}
    for number in range(wanted.runs):
        for name, contender in contenders.items():
            start = run(contender.start())
            results.setdefault((name, "start"), []).append(start)
        for one in sets:
            turn = number % len(contenders)
            order = list(contenders.items())
            for name, contender in order[turn:] + order[:turn]:
                took = run(contender.commands(one))
                took["text"] = contender.text(one, took.pop("output"))
                took["starts"] = len(contender.commands(one))
                results.setdefault((name, one["name"]), []).append(took)
                print(f"  run {number + 1}: {one['name']}: {name}: {took['cpu_s']:.1f} CPU s",
                      file=sys.stderr)
    report = WORK / "results.json"
    report.write_text(json.dumps({"sets": sets, "contenders": list(contenders),
                                  "results": summary(results, contenders, sets)}))
    subprocess.run([python, Path(__file__).with_name("report.py"), report], check=True, cwd=ROOT)


def material(wanted):
    words = [f"--minutes={wanted.minutes}"]
    words += [f"--corpus={folder}" for folder in wanted.corpus]
    words += [f"--call={call}" for call in wanted.call]
    words += [] if wanted.no_bundled else [f"--bundled={ROOT / 'tests/assets'}"]
    return words


def summary(results, contenders, sets):
    """Medians; what starting costs is taken off, and kept beside it."""
    out = []
    for name in contenders:
        start_s = statistics.median(run["cpu_s"] for run in results[name, "start"])
        for one in sets:
            runs = results[name, one["name"]]
            middle = {key: statistics.median(run[key] for run in runs)
                      for key in ("cpu_s", "wall_s", "peak_mib")}
            out.append({"contender": name, "set": one["name"], **middle,
                        "net_cpu_s": middle["cpu_s"] - start_s * runs[0]["starts"],
                        "all_cpu_s": [round(run["cpu_s"], 2) for run in runs],
                        "text": runs[-1]["text"]})
    return out


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
