"""Prints what a run of the bench found: report.py RESULTS.json"""

import json
import random
import sys

from whisper_normalizer.english import EnglishTextNormalizer

DRAWS = 3000
SEED = 4

NORMAL = EnglishTextNormalizer()


def words(text):
    return NORMAL(text).split()


def errors_by_unit(turns, heard):
    """Aligns what was heard with all that was said on a track; returns {unit: [errors, words]}."""
    said = [(word, turn["unit"]) for turn in turns for word in words(turn["text"])]
    heard = words(heard)
    width = len(heard) + 1
    rows = [list(range(width))]
    for i, (word, _) in enumerate(said, 1):
        above, row = rows[-1], [i]
        for j, other in enumerate(heard, 1):
            row.append(min(above[j - 1] + (word != other), above[j] + 1, row[j - 1] + 1))
        rows.append(row)
    units = {turn["unit"]: [0, 0] for turn in turns}
    for _, unit in said:
        units[unit][1] += 1
    i, j = len(said), len(heard)
    while i > 0 or j > 0:
        here = rows[i][j]
        if i > 0 and j > 0 and here == rows[i - 1][j - 1] + (said[i - 1][0] != heard[j - 1]):
            units[said[i - 1][1]][0] += said[i - 1][0] != heard[j - 1]
            i, j = i - 1, j - 1
        elif i > 0 and here == rows[i - 1][j] + 1:
            units[said[i - 1][1]][0] += 1
            i -= 1
        else:
            # A word too many belongs to what was being said.
            units[said[max(i - 1, 0)][1] if said else turns[0]["unit"]][0] += 1
            j -= 1
    return units


def scored(one, texts):
    units = {}
    tracks = [track for file in one["files"] for track in file["tracks"]]
    for track, heard in zip(tracks, texts):
        if not track["turns"]:
            continue
        for unit, (wrong, said) in errors_by_unit(track["turns"], heard).items():
            sums = units.setdefault(unit, [0, 0])
            sums[0] += wrong
            sums[1] += said
    return units


def rate(units):
    return 100 * sum(e for e, _ in units.values()) / max(1, sum(w for _, w in units.values()))


def bootstrap(ours, theirs):
    """The difference of two rates in points, and its 95 % interval over utterances."""
    names = sorted(ours)
    draw, found = random.Random(SEED), []
    for _ in range(DRAWS):
        some = draw.choices(names, k=len(names))
        said = max(1, sum(ours[name][1] for name in some))
        found.append(100 * sum(ours[name][0] - theirs[name][0] for name in some) / said)
    found.sort()
    return rate(ours) - rate(theirs), found[DRAWS * 25 // 1000], found[DRAWS * 975 // 1000 - 1]


def main():
    run = json.load(open(sys.argv[1], encoding="utf-8"))
    units = {}
    for one in run["sets"]:
        rows = [row for row in run["results"] if row["set"] == one["name"]]
        print(f"\n{one['name']}: {one['seconds']:.0f} s of tracks")
        print(f"  {'':42} {'WER %':>6} {'CPU s':>7} {'-start':>7} {'RTF':>7} {'wall s':>7} {'MiB':>5}")
        for row in rows:
            heard = scored(one, row["text"])
            units[row["contender"], one["name"]] = heard
            wer = f"{rate(heard):6.2f}" if heard else "     -"
            print(f"  {row['contender']:42} {wer} {row['cpu_s']:7.2f} {row['net_cpu_s']:7.2f} "
                  f"{row['net_cpu_s'] / one['seconds']:7.4f} {row['wall_s']:7.1f} {row['peak_mib']:5.0f}")
    compared(run, units)


def compared(run, units):
    ours = run["contenders"][0]
    if not ours.startswith("fieldtape"):
        return
    cpu_s = {(row["contender"], row["set"]): row["net_cpu_s"] for row in run["results"]}
    last = run["sets"][-1]["name"]
    print("\n'-start' is CPU without starting and loading the model; RTF is of that, per second of track.")
    print(f"\n{ours} against the others: CPU on {last}, and points of WER [95 %] "
          "over the utterances of")
    short = [one["name"] for one in run["sets"] if one["name"] != last] or [last]
    print(f"  {'':42} {'CPU':>6}  {'all of the above but ' + last:34} {last}")
    for other in run["contenders"][1:]:
        pooled = [{f"{name}/{unit}": value for name in short
                   for unit, value in units[who, name].items()} for who in (ours, other)]
        long = [units[who, last] for who in (ours, other)]
        ratio = cpu_s[ours, last] / cpu_s[other, last]
        points = ["{:+.2f} [{:+.2f}, {:+.2f}]".format(*bootstrap(*pair)) if pair[0] else "-"
                  for pair in (pooled, long)]
        print(f"  {other:42} {ratio:5.2f}x  {points[0]:34} {points[1]}")


if __name__ == "__main__":
    main()
