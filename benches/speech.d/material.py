"""Makes the sound the contenders hear: material.py PLAN [--corpus=DIR] [--call=WAV] ...

For each track a 16 kHz WAV and the same as raw floats, so that no rival pays for decoding; and for
fieldtape the file as it is. Writes a list of sets to PLAN.
"""

import argparse
import csv
import json
import wave
from pathlib import Path

import av
import numpy

RATE_HZ = 16_000


def decoded(path, rate_hz):
    """A file's channels as 16-bit samples at a rate."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        layout = "stereo" if stream.channels == 2 else "mono"
        resampler = av.AudioResampler(format="s16p", layout=layout, rate=rate_hz)
        frames = [out for frame in container.decode(stream) for out in resampler.resample(frame)]
        frames += resampler.resample(None)
    return numpy.concatenate([frame.to_ndarray() for frame in frames], axis=1)


def write_wav(path, channels, rate_hz):
    with wave.open(str(path), "wb") as out:
        out.setnchannels(len(channels))
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes(numpy.ascontiguousarray(channels.T).astype("<i2").tobytes())


class Maker:
    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        # What starting costs is measured by it.
        write_wav(folder / "silence.wav", numpy.zeros((1, RATE_HZ), numpy.int16), RATE_HZ)

    def tracks(self, name, path, turns):
        """One track a channel; `turns` has the texts of each channel, with their units."""
        channels = decoded(path, RATE_HZ)
        tracks = []
        for index, channel in enumerate(channels):
            wav = self.folder / f"{name}.{index}.wav"
            raw = wav.with_suffix(".f32")
            write_wav(wav, channel[None, :], RATE_HZ)
            (channel.astype("<f4") / 32768).tofile(raw)
            tracks.append({"wav": str(wav), "raw": str(raw), "turns": turns[index]})
        file = {"path": str(path), "tracks": tracks}
        return file, channels.shape[1] / RATE_HZ * len(channels)

    def utterances(self, name, folder, references):
        files, heard_s = [], 0
        for row in csv.DictReader(open(references, encoding="utf-8"), delimiter="\t"):
            paths = sorted(folder.glob(f"{row['id']}*.wav"))
            if not paths:
                continue
            unit = f"{name}/{row['id']}"
            turns = [[{"unit": unit, "text": row["text"]}]]
            file, seconds = self.tracks(f"{name}-{row['id']}", paths[0], turns)
            files.append(file)
            heard_s += seconds
        return {"name": name, "seconds": heard_s, "files": files}

    def call(self, path):
        file, heard_s = self.tracks(path.stem, path, turns_of(path))
        return {"name": path.stem, "seconds": heard_s, "files": [file]}

    def long_call(self, calls, minutes):
        """Calls one after the other, over and over, as one 8 kHz file of two channels."""
        sound = {path: decoded(path, 8000) for path in calls}
        left, pieces, turns = minutes * 60 * 8000, [], [[], []]
        while left > 0:
            for path in calls:
                whole = sound[path].shape[1] <= left
                if not whole and pieces:
                    left = 0
                    break
                pieces.append(sound[path])
                left -= sound[path].shape[1]
                for party, more in zip(turns, turns_of(path)):
                    party.extend(more)
        joined = numpy.concatenate(pieces, axis=1)
        path = self.folder / f"call-{minutes:g}min.wav"
        write_wav(path, joined, 8000)
        file, heard_s = self.tracks(path.stem, path, turns)
        return {"name": path.stem, "seconds": heard_s, "files": [file]}


def turns_of(path):
    about = path.with_suffix(".json")
    if not about.exists():
        return [[], []]
    about = json.loads(about.read_text(encoding="utf-8"))
    sides = [about["channels"]["left"], about["channels"]["right"]]
    turns = [[], []]
    for number, turn in enumerate(about["turns"]):
        unit = f"{path.stem}/{number}"
        turns[sides.index(turn["speaker"])].append({"unit": unit, "text": turn["text"]})
    return turns


def is_call(path):
    return path.with_suffix(".json").exists() and decoded(path, 8000).shape[0] == 2


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("plan", type=Path)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--bundled", type=Path)
    parser.add_argument("--corpus", type=Path, action="append", default=[])
    parser.add_argument("--call", type=Path, action="append", default=[])
    wanted = parser.parse_args()
    maker = Maker(wanted.plan.parent / "sound")
    sets, calls = [], list(wanted.call)
    folders = [(folder.name, folder, folder / "refs.tsv") for folder in wanted.corpus]
    if wanted.bundled:
        bundled = Path(__file__).with_name("bundled.tsv")
        folders.append(("bundled", wanted.bundled, bundled))
    for name, folder, references in folders:
        if references.exists():
            sets.append(maker.utterances(name, folder, references))
        calls += [path for path in sorted(folder.glob("*.wav")) if is_call(path)]
    sets += [maker.call(path) for path in calls]
    if calls:
        sets.append(maker.long_call(calls, wanted.minutes))
    wanted.plan.write_text(json.dumps([one for one in sets if one["files"]]))


if __name__ == "__main__":
    main()
