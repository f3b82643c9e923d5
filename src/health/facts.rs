//! The box in the kernel's own words, for whoever helps from afar.

use super::Kernel;

/// What is passed on, below the root.
const FILES: [(&str, &str); 11] = [
    ("board", "proc/device-tree/model"),
    ("system", "etc/os-release"),
    ("kernel", "proc/version"),
    ("up", "proc/uptime"),
    ("load", "proc/loadavg"),
    ("memory", "proc/meminfo"),
    ("disks", "proc/diskstats"),
    ("memory pressure", "proc/pressure/memory"),
    ("disk pressure", "proc/pressure/io"),
    ("sound cards", "proc/asound/cards"),
    ("time source", "sys/devices/system/clocksource/clocksource0/current_clocksource"),
];

/// Lines of `/proc/cpuinfo` that say what the processor is. One that is left out is its serial
/// number.
const PROCESSOR: [&str; 7] =
    ["processor", "model name", "Model", "Hardware", "Revision", "Features", "CPU part"];

impl Kernel {
    /// Describes the box: processor, memory, disks, load.
    pub fn facts(&self) -> String {
        let mut text = String::new();
        for (name, path) in FILES {
            let said = self.read(path).unwrap_or_else(|| "not told".to_owned());
            text.extend(["== ", name, "\n", said.trim_end_matches('\0'), "\n\n"]);
        }
        text.push_str("== processor\n");
        for line in self.read("proc/cpuinfo").unwrap_or_default().lines() {
            let key = line.split(':').next().unwrap_or_default().trim();
            if PROCESSOR.contains(&key) {
                text.push_str(line);
                text.push('\n');
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_is_described_without_its_serial_number() {
        let dir = tempfile::tempdir().unwrap();
        let say = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        say("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0");
        say(
            "proc/cpuinfo",
            "processor\t: 0\nFeatures\t: fp asimd\n\nSerial\t\t: 10000000abcdef01\nModel\t\t: Raspberry Pi 4\n",
        );
        let facts = Kernel::at(dir.path()).facts();
        for told in ["== board\nRaspberry Pi 4 Model B Rev 1.4\n", "fp asimd", "== load\nnot told"]
        {
            assert!(facts.contains(told), "{told}: {facts}");
        }
        assert!(!facts.contains("abcdef01"), "{facts}");
    }
}
