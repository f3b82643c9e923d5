//! How the speech process uses memory.

/// From this size on a buffer has pages of its own, which go back to the system with it: a window's
/// sound and spectrum are larger, what whisper.cpp's vocabulary is made of is smaller.
#[cfg(target_env = "gnu")]
const MAPPED_MIN_BYTES: libc::c_int = 256 * 1024;

/// Has large buffers given back when they are freed.
///
/// Unless told, glibc takes each freed one as a reason to keep the next larger one in its heap, up
/// to 32 MB, and the windows of a long call shred it: 8 MB more after 15 min.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "there is no safe wrapper of mallopt")]
pub(super) fn give_back() {
    // SAFETY: sets one number in the allocator, which takes its own lock to do so.
    let taken = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_MIN_BYTES) };
    if taken != 1 {
        tracing::debug!("the allocator keeps large buffers; more memory is used than needed");
    }
}

/// Other allocators are left as they are.
#[cfg(not(target_env = "gnu"))]
pub(super) fn give_back() {}

/// From this size on a mapping gets huge pages: the weights and what a window is computed in.
#[cfg(target_os = "linux")]
const HUGE_MIN_BYTES: usize = 8 << 20;

/// Whether a mapping has been written to already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pages {
    /// All of it: its pages are put together now.
    Filled,
    /// Not yet: they come in one piece.
    Fresh,
}

/// Has the large mappings made of pages of 2 MB instead of 4 KB, where the kernel can.
///
/// For every word the decoder reads half of the weights, more than the processor's table of pages
/// spans: with large pages a call takes a tenth less time.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "there is no safe wrapper of madvise")]
pub(super) fn use_huge_pages(pages: Pages) {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    for (start, length) in maps.lines().filter_map(anonymous) {
        if length < HUGE_MIN_BYTES {
            continue;
        }
        let at = std::ptr::without_provenance_mut(start);
        // SAFETY: neither advice changes what is in the memory, or whose it is.
        let taken = unsafe {
            libc::madvise(at, length, libc::MADV_HUGEPAGE) == 0
                && (pages == Pages::Fresh || libc::madvise(at, length, libc::MADV_COLLAPSE) == 0)
        };
        if !taken {
            let error = std::io::Error::last_os_error();
            tracing::debug!(%error, "the kernel has no large pages to give; words take longer");
        }
    }
}

/// Returns where a mapping of /proc/self/maps lies and how long it is, if no file is behind it.
#[cfg(target_os = "linux")]
fn anonymous(line: &str) -> Option<(usize, usize)> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let is_ours = fields.next()? == "rw-p" && fields.nth(2)? == "0" && fields.next().is_none();
    let (start, end) =
        (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    is_ours.then(|| (start, end.saturating_sub(start)))
}

/// Other kernels do as they do.
#[cfg(not(target_os = "linux"))]
pub(super) fn use_huge_pages(_pages: Pages) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_mappings_without_a_file_are_ours_to_advise_on() {
        let ours = "7f0000000000-7f0002a00000 rw-p 00000000 00:00 0 ";
        assert_eq!(anonymous(ours), Some((0x7f00_0000_0000, 0x2a0_0000)));
        for other in [
            "7f0000000000-7f0002a00000 r-xp 00000000 00:00 0 ",
            "7f0000000000-7f0002a00000 rw-p 00000000 fe:00 1234 /usr/lib/libm.so.6",
            "55e6786e0000-55e678a00000 rw-p 00000000 00:00 0 [heap]",
            "not a mapping",
            "",
        ] {
            assert_eq!(anonymous(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_in_memory_stays_as_it_is() {
        let filled: Vec<u32> = (0..4 << 20).collect();
        use_huge_pages(Pages::Filled);
        let fresh = vec![0_u8; 16 << 20];
        use_huge_pages(Pages::Fresh);
        assert!(filled.iter().zip(0..).all(|(is, was)| *is == was));
        assert!(fresh.iter().all(|byte| *byte == 0));
    }
}
