//! Which build of the speech program this processor is fastest with, and whether it can run it.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where, from the program's own folder, a build lies that uses dot products and half floats.
const DOTPROD: &str = "../lib/fieldtape/fieldtape-dotprod";

/// Becomes the faster build of this program, if there is one for this processor. Returns only if it
/// does not.
pub(crate) fn become_it() {
    let Some(program) = std::env::current_exe().ok().and_then(|own| build_for(&own, has_dotprod()))
    else {
        return;
    };
    let error = run_instead(&program);
    tracing::warn!(%error, "{} cannot be run; speech is heard more slowly", program.display());
}

/// Replaces this process; its standard input and its limits stay.
fn run_instead(program: &Path) -> io::Error {
    Command::new(program).arg(OsStr::new("speech-worker")).exec()
}

/// Names the build to become; none for the one that runs already.
fn build_for(own: &Path, has_dotprod: bool) -> Option<PathBuf> {
    let faster = own.parent()?.join(DOTPROD);
    // The faster build itself lies in another folder, from which there is no such path.
    (has_dotprod && faster.is_file()).then_some(faster)
}

/// Asks the processor. A Raspberry Pi 5 has both, a 3 or 4 neither.
#[cfg(target_arch = "aarch64")]
fn has_dotprod() -> bool {
    std::arch::is_aarch64_feature_detected!("dotprod")
        && std::arch::is_aarch64_feature_detected!("fp16")
}

/// Names what this build's engine needs and the processor does not have: without asking, it would
/// die in the middle of its first window.
#[cfg(all(target_arch = "x86_64", feature = "whisper"))]
pub(crate) fn missing() -> Option<&'static str> {
    let needed = [
        ("AVX2", std::arch::is_x86_feature_detected!("avx2")),
        ("FMA", std::arch::is_x86_feature_detected!("fma")),
        ("F16C", std::arch::is_x86_feature_detected!("f16c")),
        ("BMI2", std::arch::is_x86_feature_detected!("bmi2")),
    ];
    needed.into_iter().find(|(_, there)| !there).map(|(name, _)| name)
}

/// Every 64-bit ARM processor has what the engine needs.
#[cfg(all(not(target_arch = "x86_64"), feature = "whisper"))]
pub(crate) fn missing() -> Option<&'static str> {
    None
}

/// There is only one build for other processors.
#[cfg(not(target_arch = "aarch64"))]
fn has_dotprod() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_faster_build_is_taken_where_the_processor_and_the_package_have_it() {
        let root = tempfile::tempdir().unwrap();
        let (bin, lib) = (root.path().join("bin"), root.path().join("lib/fieldtape"));
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::create_dir_all(&lib).unwrap();
        let own = bin.join("fieldtape");
        assert_eq!(build_for(&own, true), None, "there is none");
        let faster = lib.join("fieldtape-dotprod");
        std::fs::write(&faster, "").unwrap();
        assert_eq!(build_for(&own, false), None, "it would die of it");
        let chosen = build_for(&own, true).unwrap();
        assert_eq!(chosen.canonicalize().unwrap(), faster.canonicalize().unwrap());
        assert_eq!(build_for(&faster, true), None, "it is that already");
    }
}
