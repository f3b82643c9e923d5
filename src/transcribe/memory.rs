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
