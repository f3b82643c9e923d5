"""faster-whisper, greedy and int8: faster.py MODEL LANGUAGE THREADS HOW FILE...

HOW is seq, seq-vad, batched or batched-vad. Prints a line of JSON per file, as plain.cpp does.
"""

import json
import sys

from faster_whisper import BatchedInferencePipeline, WhisperModel

# What it cuts a track into when it is batched without its voice detector.
CHUNK_S = 30


def main():
    model, language, threads, how, *files = sys.argv[1:]
    whisper = WhisperModel(model, device="cpu", compute_type="int8", cpu_threads=int(threads))
    batched, vad = how.startswith("batched"), how.endswith("-vad")
    engine = BatchedInferencePipeline(whisper) if batched else whisper
    language = None if language == "auto" else language
    for file in files:
        options = {"language": language, "beam_size": 1, "vad_filter": vad}
        if batched:
            options["batch_size"] = 8
        if batched and not vad:
            options["clip_timestamps"] = chunks(file)
        segments, about = engine.transcribe(file, **options)
        heard = [[segment.start, segment.end, segment.text] for segment in segments]
        print(json.dumps({"language": about.language, "segments": heard}), flush=True)


def chunks(file):
    import wave

    with wave.open(file) as sound:
        length_s = sound.getnframes() / sound.getframerate()
    starts = [start for start in range(0, int(length_s) + 1, CHUNK_S) if start < length_s]
    return [{"start": start, "end": min(start + CHUNK_S, length_s)} for start in starts]


if __name__ == "__main__":
    main()
