//! How a worker is started: as a process of this program, or in tests as a thread.

use std::path::{Path, PathBuf};

/// How a worker is started.
#[derive(Clone, Debug)]
pub enum Launch {
    /// As a process: this program, with these words.
    Process {
        /// The program.
        program: PathBuf,
        /// Its words.
        words: Vec<String>,
    },
    /// As a thread of this process, without any limit: for tests that have no such program.
    Thread,
}

impl Launch {
    /// This very program, with `words`; also when another one lies in its place by now.
    ///
    /// # Errors
    /// When the system does not say what this program is.
    pub fn this_program(words: &[&str]) -> std::io::Result<Self> {
        let own = Path::new("/proc/self/exe");
        let program = if own.exists() { own.to_owned() } else { std::env::current_exe()? };
        Ok(Self::Process { program, words: words.iter().map(|word| (*word).to_owned()).collect() })
    }
}
