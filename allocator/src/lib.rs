//! The C library's allocator, told to give back what is free.
//!
//! It has a crate of its own because it is the only code here that is `unsafe`. With another C library than glibc it
//! does nothing.

/// From this size on a block is mapped by itself, and unmapped as soon as it is freed. glibc begins
/// with this value (mallopt(3), `M_MMAP_THRESHOLD`).
#[cfg(target_env = "gnu")]
const MAPPED_BYTES_MIN: libc::c_int = 128 << 10;

/// So many at most. The kernel allows a process 65,530 mappings (`vm.max_map_count`), and code, stacks and
/// sockets need some.
#[cfg(target_env = "gnu")]
const MAPPED_MAX: libc::c_int = 16 << 10;

/// Keeps large blocks out of the heaps, for as long as the process runs. Call it before the first
/// thread is started.
///
/// Left alone, glibc raises the threshold to the largest block that was ever freed, up to 32 MiB. A
/// few pictures of a size that is allowed and rare then move all others into heaps, of which only the
/// free end goes back to the system: the node stays as large as it once was. Blocks of this size are
/// key frames and segments; a mapping costs little beside what is done with them.
pub fn keep_large_blocks_apart() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "the standard library has no way to it")]
    // SAFETY: mallopt takes two integers and keeps no pointer. It is safe to call at any time; glibc
    // locks while it changes the value.
    let are_set = unsafe {
        [
            libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES_MIN),
            libc::mallopt(libc::M_MMAP_MAX, MAPPED_MAX),
        ]
    };
    #[cfg(target_env = "gnu")]
    // It refuses a threshold above half a heap, which this is not.
    debug_assert_eq!(are_set, [1, 1], "mallopt took both");
}

/// Gives back the free pages between blocks that are in use, in every heap (malloc_trim(3)).
///
/// Whoever allocates from a heap waits while it is gone through: measured, a quarter to half a
/// millisecond for each MiB that is given back, and a tenth of a millisecond for each that is not.
pub fn give_back_free_pages() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "the standard library has no way to it")]
    // SAFETY: malloc_trim takes an integer, the bytes to keep at the end of the main heap. It is safe
    // to call at any time from any thread; glibc locks each heap that it looks at.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use super::*;

    fn resident_kib() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.trim().split(' ').next()?.parse().ok());
        number.unwrap()
    }

    #[test]
    fn what_is_freed_goes_back() {
        keep_large_blocks_apart();
        let start = resident_kib();
        // glibc would raise its threshold at the first of these.
        for _ in 0..4 {
            drop(vec![1_u8; 8 << 20]);
        }
        assert!(resident_kib() < start + (1 << 10), "a large block stays");

        let mut blocks: Vec<_> = (0..4096).map(|_| vec![1_u8; 8 << 10]).collect();
        let last = blocks.pop();
        drop(blocks);
        assert!(
            resident_kib() > start + (16 << 10),
            "nothing is left to give back"
        );
        give_back_free_pages();
        assert!(resident_kib() < start + (2 << 10), "free pages stay");
        drop(last);
    }
}
