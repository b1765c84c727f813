//! Gives back pages of the program's code that it no longer uses.
//!
//! A start compiles every view's SQL and so runs through most of the program's 90 MB of code once; what runs afterwards is a
//! third of it. The kernel keeps all pages that were ever used mapped to the process, and counts them as resident, until
//! memory is short. [`release_code`] unmaps them; what is used again is mapped again from the page cache, without a disk.
//!
//! This is the one crate with `unsafe` (decision 0025): the call that unmaps pages must never meet a page that was written.

#[cfg(target_os = "linux")]
mod mappings;

use std::io;

/// Unmaps the pages of this program's own code, and says how many bytes of addresses it covered. The pages that are in use
/// come back by page faults, 64 KiB at a time; the others stay with the kernel, which may use their memory for something else.
///
/// Takes 1 to 3 ms for 90 MB of code, beside the page faults of the threads whose pages come back. Where the system is not Linux
/// it does nothing and says 0.
///
/// # Errors
/// When `/proc` is not there or the kernel refuses.
pub fn release_code() -> io::Result<u64> {
    #[cfg(target_os = "linux")]
    return linux();
    #[cfg(not(target_os = "linux"))]
    Ok(0)
}

#[cfg(target_os = "linux")]
fn linux() -> io::Result<u64> {
    use rustix::mm::{Advice, madvise};

    let program = std::fs::read_link("/proc/self/exe")?;
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let mut bytes = 0;
    for code in mappings::code(&maps, &program.to_string_lossy()) {
        // SAFETY: the range is one that the kernel lists as private, executable, not writable, and backed by the program's own
        // file. No page of it was written: relocations of this program are not in its code (it is position-independent, and a
        // text relocation would be refused by the linker), and it was never writable. So the kernel brings back, at the next
        // use, the same bytes from the same file, which cannot be written while it runs.
        #[allow(unsafe_code)]
        unsafe {
            madvise(std::ptr::with_exposed_provenance_mut(code.start), code.len(), Advice::LinuxDontNeed)?;
        }
        bytes += code.len() as u64;
    }
    Ok(bytes)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn code_goes_and_comes_back() {
        let bytes = release_code().expect("this is Linux");
        assert!(bytes > 100 << 10, "{bytes} bytes of code: a test's program has more");
        // Whatever runs now runs from pages that came back.
        let again = release_code().expect("as before");
        assert_eq!(again, bytes);
    }
}
