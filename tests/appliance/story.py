"""A box's life, in an emulator: installed, called, cut off, started again, upgraded, purged.

story.py IMAGE PACKAGE FOLDER: IMAGE is what tests/appliance/image made, PACKAGE the arm64 .deb, FOLDER
is empty and for the disks, gigabytes of them. Prints each step as it is done; ends with 1 at the first
that is not as it should be.
"""

import base64
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import wave

from guest import Failed, Guest

ASSETS = os.path.join(os.path.dirname(__file__), "..", "assets")
TOKEN = "token-of-nobody"
CONFIG = """
[server]
public_url = "https://calls.example.org"
[twilio]
account_sid = "AC00000000000000000000000000000000"
agent_number = "+15550142"
# Nobody listens there: the network is away.
api_url = "http://127.0.0.1:9"
[consent]
announcement = "This call is recorded."
"""
# A Raspberry Pi 4, whose processor has no dot products, and then a 5, whose has.
PI_4, PI_5 = "cortex-a72", "cortex-a76"
# The promise is the last second; this is what an emulator on a busy machine adds to each write.
LOST_S_MAX = 1.5

# For what the emulator is slow at. It is done much sooner where nothing else runs.
PATIENCE_S = 1200

BEGAN = time.monotonic()


def done(what):
    print(f"{time.monotonic() - BEGAN:4.0f} s  ok  {what}", flush=True)


def expect(fact, otherwise):
    if not fact:
        raise Failed(otherwise)


def samples(path_or_bytes):
    """The samples of a 16-bit mono WAV."""
    with wave.open(path_or_bytes) as sound:
        expect((sound.getnchannels(), sound.getsampwidth()) == (1, 2), "it is not 16 bit mono")
        return sound.readframes(sound.getnframes())


def short_call(to):
    """Makes a call of some seconds: one sentence of the technician's, an agent who listens."""
    said = samples(os.path.join(ASSETS, "librivox-0930.wav"))
    # From 16 kHz to 8 kHz, well enough to be understood: the mean of each two samples.
    numbers = memoryview(said).cast("h")
    halved = [(one + other) // 2 for one, other in zip(numbers[::2], numbers[1::2])]
    with wave.open(to, "wb") as call:
        call.setnchannels(2)
        call.setsampwidth(2)
        call.setframerate(8000)
        call.writeframes(b"".join(b"\0\0" + number.to_bytes(2, "little", signed=True) for number in halved))


def long_call():
    """Returns what the technician says in the long call, as it is to be recorded."""
    with open(os.path.join(ASSETS, "service-call.wav"), "rb") as file:
        riff = file.read()
    codes = riff[riff.index(b"data") + 8:][1::2]
    return b"".join(DECODED[code] for code in codes)


def decode(code):
    """What a mu-law code stands for (ITU-T G.711), as 16 bits."""
    bits = ~code & 0xFF
    magnitude = (((bits & 15) * 2 + 33) << (bits >> 4 & 7)) - 33
    return (4 * (-magnitude if bits & 0x80 else magnitude)).to_bytes(2, "little", signed=True)


DECODED = [decode(code) for code in range(256)]


def newer(package, to):
    """Makes the package again under a higher number, with another program in it."""
    folder = to + ".d"
    subprocess.run(["dpkg-deb", "--raw-extract", package, folder], check=True)
    control = os.path.join(folder, "DEBIAN", "control")
    with open(control) as file:
        lines = file.read().splitlines()
    lines = ["Version: 99.0.0-1" if line.startswith("Version:") else line for line in lines]
    with open(control, "w") as file:
        file.write("\n".join(lines) + "\n")
    with open(os.path.join(folder, "usr/bin/fieldtape"), "ab") as program:
        program.write(b"\n")
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", "-Zgzip", "-z1", folder, to],
                   check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(folder)


class Story:
    def __init__(self, image, package, folder):
        self.image, self.package, self.folder = image, package, folder
        self.box = os.path.join(folder, "box.img")
        self.stick = os.path.join(folder, "stick.img")

    def boot(self, cpu):
        self.guest = Guest(self.image, [self.box, self.stick], cpu, self.folder)
        self.guest.run("mkdir -p /stick && mount -o ro /dev/vdb /stick")
        # "degraded": something else of the box is wrong, which is not ours.
        self.guest.says("systemctl is-system-running --wait", 300)

    def fieldtape(self, arguments, limit_s=120):
        credentials = "CREDENTIALS_DIRECTORY=/run/credentials/fieldtape.service"
        return self.guest.run(f"{credentials} fieldtape {arguments}", limit_s)

    def call_in_background(self, sid):
        credentials = "CREDENTIALS_DIRECTORY=/run/credentials/fieldtape.service"
        self.guest.start(f"{credentials} fieldtape simulate /stick/long.wav --call-sid {sid}")
        self.guest.until(f"journalctl -q CALL_SID={sid} EVENT=stream.started | grep -q .", 60)

    def shown(self, sid):
        answer = json.loads(self.guest.run(f"curl -sf http://127.0.0.1:8080/api/v1/calls/{sid}"))
        return answer

    def sound(self, sid, name):
        """The samples of a file, over the API."""
        url = f"http://127.0.0.1:8080/api/v1/calls/{sid}/audio/{name}.wav"
        return samples(io.BytesIO(base64.b64decode(self.guest.run(f"curl -sf {url} | base64 -w0"))))

    def is_recorded(self, sid, limit_s=120):
        self.guest.until(f"journalctl -q CALL_SID={sid} EVENT=recording.completed | grep -q .", limit_s)
        expect(self.shown(sid)["recording_status"] == "completed", f"{self.shown(sid)}")

    def prepare(self):
        subprocess.run(["cp", "--sparse=always", f"{self.image}/root.img", self.box], check=True)
        stick = os.path.join(self.folder, "stick")
        os.mkdir(stick)
        shutil.copy(self.package, os.path.join(stick, "fieldtape.deb"))
        newer(self.package, os.path.join(stick, "newer.deb"))
        shutil.copy(os.path.join(ASSETS, "service-call.wav"), os.path.join(stick, "long.wav"))
        short_call(os.path.join(stick, "short.wav"))
        with open(os.path.join(stick, "config.toml"), "w") as file:
            file.write(CONFIG)
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", stick, self.stick, "512M"], check=True)
        shutil.rmtree(stick)

    def install(self):
        self.guest.run("dpkg --install /stick/fieldtape.deb", PATIENCE_S)
        self.guest.until("systemctl is-active -q fieldtape.service", 60)
        expect("account is not set up" in self.fieldtape("status"), "it does not say what is missing")
        done("installed, started, and says what to set")
        self.guest.run("cp /stick/config.toml /etc/fieldtape/config.toml")
        self.guest.run(f"mkdir -p /etc/credstore.encrypted && printf %s {TOKEN} |"
                       " systemd-creds encrypt --name=fieldtape.twilio-auth-token -"
                       " /etc/credstore.encrypted/fieldtape.twilio-auth-token")
        self.guest.run("systemctl restart fieldtape.service")
        self.guest.until("fieldtape status | grep -q 'account, token, public address and agent are set'", 60)
        done("the token is a credential of this box alone")

    def first_call(self, sid):
        self.fieldtape(f"simulate /stick/short.wav --call-sid {sid}")
        self.is_recorded(sid)
        for party in ("technician", "agent"):
            for rate in (8000, 16000):
                length = len(self.sound(sid, f"{party}_{rate}")) / 2 / rate
                expect(3 < length < 6, f"{party} at {rate} Hz has {length} s")
        done("a signed call through Twilio's port: both parties' WAVs are there")
        self.transcribed(sid)
        done("its transcript was made on a Raspberry Pi 4's processor")
        told = self.guest.run(f"journalctl -u fieldtape -o json CALL_SID={sid}").splitlines()
        events = [json.loads(line).get("EVENT") for line in told]
        for event in ("call.started", "stream.started", "recording.completed", "transcript.completed"):
            expect(event in events, f"the journal has no {event}: {events}")
        expect(TOKEN not in self.guest.run("journalctl --no-pager"), "the journal holds the token")
        done("the journal tells the call")

    def transcribed(self, sid):
        self.guest.until(f"journalctl -q CALL_SID={sid} EVENT=transcript.completed | grep -q .", PATIENCE_S)
        transcript = json.loads(self.guest.run(f"curl -sf http://127.0.0.1:8080/api/v1/calls/{sid}/transcript"))
        words = " ".join(part["text"] for part in transcript["segments"] if part["speaker"] == "technician")
        expect(len(words.split()) >= 2, f"the transcript is {transcript}")

    def cut(self, sid):
        """Takes the power away in the middle of a call; returns the bytes of sound it had."""
        self.call_in_background(sid)
        size = f"stat -c %s /var/lib/fieldtape/recordings/*/*/*/{sid}/technician_8000Hz.wav.part"
        self.guest.until(f"[ $({size}) -gt 160000 ]", 60)
        heard = int(self.guest.run(size)) - 44
        self.guest.power_cut()
        done(f"the power went after {heard / 16000:.1f} s of a call")
        return heard

    def salvaged(self, sid, heard):
        self.guest.until("systemctl is-active -q fieldtape.service", 60)
        self.guest.until(f"journalctl -q CALL_SID={sid} EVENT=recording.salvaged | grep -q .", 60)
        found, expected = self.sound(sid, "technician_8000"), long_call()
        lost_s = (heard - len(found)) / 16000
        print(f"        {len(found) / 16000:.2f} s are there; lost: {max(lost_s, 0):.2f} s")
        expect(lost_s <= LOST_S_MAX, f"{lost_s} s of it are lost")
        # What was padded to the other party's length is silence.
        spoken = found.rstrip(b"\0")
        expect(spoken == expected[:len(spoken)], "what is there is not what was said")
        call = self.shown(sid)
        expect(call["recording_status"] == "completed", f"{call}")
        self.fieldtape("fsck")
        expect(self.guest.run(f"journalctl -q -b -1 CALL_SID={sid} -o cat"), "the boot before is not in the journal")
        done("started again: the call is there, salvaged, sample for sample")

    def upgrade(self, sid):
        self.call_in_background(sid)
        before = self.guest.run("systemctl show -P MainPID fieldtape.service")
        self.guest.run("dpkg --install --force-confold /stick/newer.deb", PATIENCE_S)
        self.guest.until("systemctl is-active -q fieldtape.service", 60)
        expect(self.guest.run("systemctl show -P MainPID fieldtape.service") != before, "the old program runs")
        self.is_recorded(sid)
        expect(not self.guest.run("find /var/lib/fieldtape -name '*.part'"), "a file was not sealed")
        expect("99.0.0-1 is ready" in self.guest.run("journalctl -u fieldtape -o cat"), "the new version is not told")
        done("upgraded with a live call, which was sealed")

    def purge(self):
        self.guest.run("dpkg --purge fieldtape", PATIENCE_S)
        left = self.guest.run("find / -xdev -path /stick -prune -o -name '*fieldtape*' -print |"
                              " grep -v -e ^/proc -e ^/var/log/journal -e ^/var/lib/systemd || true")
        expect(not left, f"purged, and there is\n{left}")
        done("purged, and nothing is left")

    def tell(self):
        first, second, third = (f"CA{os.urandom(16).hex()}" for _ in range(3))
        self.prepare()
        self.boot(PI_4)
        done("an emulated Raspberry Pi 4 is up")
        self.install()
        self.first_call(first)
        heard = self.cut(second)
        self.boot(PI_5)
        done("an emulated Raspberry Pi 5 is up, with the same disk")
        # Its name, as far as the kernel keeps one.
        self.guest.until("pgrep -x fieldtape-dotpr", 120)
        self.salvaged(second, heard)
        self.transcribed(second)
        done("its transcript was made on a Raspberry Pi 5's processor")
        self.upgrade(third)
        self.purge()
        self.guest.power_off()
        done("all of it")


def main():
    # So that the emulator ends with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    story = Story(*sys.argv[1:])
    try:
        story.tell()
    except (Failed, subprocess.SubprocessError, OSError) as error:
        print(f"FAILED  {error}", file=sys.stderr)
        guest = getattr(story, "guest", None)
        if guest and guest.process.poll() is None:
            print(guest.says("journalctl --no-pager -n 60; systemctl --failed --no-pager"), file=sys.stderr)
        sys.exit(1)


main()
