//! How the allocator gives memory back.

/// Blocks from this size on are mapped alone and go back to the system when freed, bytes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ALONE: i32 = 256 << 10;
/// What may stay free at the end of the heap, bytes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const SPARE: i32 = 1 << 20;

/// Fixes glibc's thresholds. Left alone they grow with the largest block ever
/// freed, and what the start needs for a moment (the catalogue's text, sled's
/// segments) stays resident for good: 12 MiB of heap instead of 5 at rest.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
pub(crate) fn settle() {
    // SAFETY: mallopt takes plain numbers and is called before there is a second thread. Unknown to it, they change nothing.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, ALONE);
        libc::mallopt(libc::M_TRIM_THRESHOLD, SPARE);
    }
}

/// Other allocators need no help.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn settle() {}
