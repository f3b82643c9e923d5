"""An emulated arm64 machine: started, asked to run commands, and cut off from its power."""

import atexit
import base64
import json
import os
import socket
import subprocess
import time


class Failed(Exception):
    """Something was not as it should be."""


class Guest:
    """One boot of the machine. Its disks outlive it."""

    def __init__(self, image, disks, cpu, folder):
        """Starts it: `image` is what tests/appliance/image made, `disks` are raw files."""
        self.agent = os.path.join(folder, "agent")
        self.console = os.path.join(folder, "console")
        if os.path.exists(self.agent):
            os.unlink(self.agent)
        # The processor of a Raspberry Pi, and half the memory of the smallest 4. It has a network
        # card and nobody behind it.
        command = ["qemu-system-aarch64", "-machine", "virt,gic-version=3", "-cpu", cpu,
                   "-accel", "tcg,thread=multi", "-smp", "2", "-m", "1024",
                   "-nodefaults", "-display", "none", "-no-reboot",
                   "-kernel", f"{image}/kernel", "-initrd", f"{image}/initrd",
                   "-append", "root=/dev/vda rw console=ttyAMA0 panic=-1 quiet",
                   "-serial", f"file:{self.console}",
                   "-device", "virtio-rng-pci",
                   "-netdev", "user,id=net,restrict=on", "-device", "virtio-net-pci,netdev=net,romfile=",
                   "-device", "virtio-serial-pci",
                   "-chardev", f"socket,id=agent,path={self.agent},server=on,wait=off",
                   "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"]
        for number, disk in enumerate(disks):
            command += ["-drive", f"file={disk},format=raw,if=none,id=disk{number},cache=writeback",
                        "-device", f"virtio-blk-pci,drive=disk{number}"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        # Whatever ends this program.
        atexit.register(self.power_cut)
        self.socket = None
        self._wait_for_agent(300)

    def _wait_for_agent(self, limit_s):
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise Failed(f"qemu ended with {self.process.returncode}")
            try:
                self.socket = socket.socket(socket.AF_UNIX)
                self.socket.settimeout(5)
                self.socket.connect(self.agent)
                self.lines = self.socket.makefile("rb")
                # What was asked before somebody listened is answered late: this finds the place.
                number = time.monotonic_ns() % 1_000_000_000
                while self._ask("guest-sync", {"id": number}) != number:
                    pass
                return
            except (OSError, ValueError):
                self.socket.close()
                time.sleep(0.5)
        raise Failed(f"no agent after {limit_s} s; its console says:\n" + self.console_end())

    def _ask(self, what, arguments):
        question = {"execute": what, "arguments": arguments}
        self.socket.sendall(json.dumps(question).encode() + b"\n")
        answer = json.loads(self.lines.readline())
        if "error" in answer:
            raise Failed(f"{what}: {answer['error']}")
        return answer["return"]

    def start(self, command):
        """Starts a shell command and returns its process number."""
        self.socket.settimeout(60)
        return self._ask("guest-exec", {"path": "/bin/bash", "arg": ["-euc", command],
                                        "capture-output": True})["pid"]

    def wait(self, process, command, limit_s):
        """Waits for one and returns (exit code, its output)."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            state = self._ask("guest-exec-status", {"pid": process})
            if state["exited"]:
                text = [base64.b64decode(state.get(key, "")) for key in ("out-data", "err-data")]
                return state.get("exitcode", -1), text[0].decode(errors="replace"), text[1].decode(errors="replace")
            time.sleep(0.2)
        raise Failed(f"after {limit_s} s this has not ended: {command}")

    def run(self, command, limit_s=120):
        """Runs a shell command and returns what it says; one that fails, fails the test."""
        code, out, err = self.wait(self.start(command), command, limit_s)
        if code != 0:
            raise Failed(f"exit code {code}: {command}\n{out}{err}")
        return out.strip()

    def says(self, command, limit_s=120):
        """Runs a shell command and returns what it says, whatever its exit code."""
        return self.wait(self.start(command), command, limit_s)[1].strip()

    def until(self, command, limit_s):
        """Waits until a shell command succeeds."""
        end = time.monotonic() + limit_s
        while self.wait(self.start(command), command, limit_s)[0] != 0:
            if time.monotonic() > end:
                raise Failed(f"not within {limit_s} s: {command}")
            time.sleep(0.5)

    def power_cut(self):
        """Takes its power away: what the guest had not written to its disk is gone."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def power_off(self, limit_s=120):
        """Has it shut down."""
        self.start("systemctl poweroff")
        self.process.wait(limit_s)

    def console_end(self):
        """What it last said on its console."""
        with open(self.console, errors="replace") as console:
            return console.read()[-2000:]
