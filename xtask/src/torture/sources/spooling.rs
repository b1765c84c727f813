//! The writer of the folder: whole files and slow ones, one event or many, some taken back, some under a name that was there.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle, sleep},
    time::Duration,
};

use super::events::spooled;
use crate::torture::random::Random;

/// What was put into the folder.
#[derive(Clone, Debug, Default)]
pub(super) struct Spooled {
    inbox: PathBuf,
    /// Events whose files are to be taken: those with numbers below this but `refused`.
    pub(super) next: u64,
    /// Events in files that came under a name that was taken before, and are to be refused.
    pub(super) refused: Vec<u64>,
    /// Files in all.
    pub(super) files: u64,
    /// Files that were taken back before they had rested.
    pub(super) withdrawn: u64,
}

impl Spooled {
    /// How many events are to be kept.
    pub(super) fn events(&self) -> u64 {
        self.next - self.refused.len() as u64
    }

    /// Whether no file waits any more.
    pub(super) fn is_put_away(&self) -> bool {
        let Ok(entries) = fs::read_dir(&self.inbox) else { return false };
        entries.flatten().all(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.ends_with(".COMPLETED") || name.ends_with(".REFUSED")
        })
    }
}

/// The writer at work.
pub(super) struct Spooling {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Spooled>,
}

impl Spooling {
    pub(super) fn start(inbox: &Path, seed: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (until, inbox) = (Arc::clone(&stop), inbox.to_owned());
        let task = thread::spawn(move || write_until(&until, &inbox, Random::new(seed ^ 0xf11e)));
        Self { stop, task }
    }

    /// Ends it; what it wrote.
    pub(super) fn finish(self) -> Spooled {
        self.stop.store(true, Ordering::SeqCst);
        self.task.join().expect("the writer does not panic")
    }
}

fn write_until(stop: &AtomicBool, inbox: &Path, mut random: Random) -> Spooled {
    let mut done = Spooled { inbox: inbox.to_owned(), ..Spooled::default() };
    while !stop.load(Ordering::SeqCst) {
        // What cannot be written is not there, which the oracle then says.
        let _ = write_one(inbox, &mut done, &mut random);
        sleep(Duration::from_millis(random.between(1, 120)));
    }
    done
}

fn write_one(inbox: &Path, done: &mut Spooled, random: &mut Random) -> std::io::Result<()> {
    let number = done.files;
    done.files += 1;
    match random.between(0, 12) {
        0 => {
            // Taken back at once: nobody may have taken it, since it had not rested.
            let path = inbox.join(format!("w-{number:06}.json"));
            fs::write(&path, b"{\"n\":-1}")?;
            done.withdrawn += 1;
            fs::remove_file(path)
        }
        1 => {
            // Under the name of one that is done: refused.
            let Some(name) = done_name(inbox, random) else { return Ok(()) };
            let n = done.next;
            done.next += 1;
            done.refused.push(n);
            whole(inbox, &name, &spooled(n))
        }
        2..=4 => {
            let path = inbox.join(format!("f-{number:06}.jsonl"));
            let mut file = File::create(path)?;
            for _ in 0..random.between(1, 300) {
                let n = done.next;
                done.next += 1;
                let text = [spooled(n), b"\n".to_vec()].concat();
                let cut = random.between(0, text.len() as u64) as usize;
                file.write_all(&text[..cut])?;
                if random.once_in(60) {
                    // Shorter than it has to rest.
                    sleep(Duration::from_millis(random.between(1, 150)));
                }
                file.write_all(&text[cut..])?;
            }
            file.sync_all()
        }
        _ => {
            let n = done.next;
            done.next += 1;
            whole(inbox, &format!("f-{number:06}.json"), &spooled(n))
        }
    }
}

/// Written under another name, then renamed.
fn whole(inbox: &Path, name: &str, text: &[u8]) -> std::io::Result<()> {
    let hidden = inbox.join(format!(".{name}"));
    fs::write(&hidden, text)?;
    fs::rename(hidden, inbox.join(name))
}

/// The name of a file that was taken.
fn done_name(inbox: &Path, random: &mut Random) -> Option<String> {
    let names: Vec<String> =
        fs::read_dir(inbox).ok()?.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    let done: Vec<&str> = names.iter().filter_map(|name| name.strip_suffix(".json.COMPLETED")).collect();
    let one = done.get(random.between(0, done.len().max(1) as u64) as usize)?;
    let name = format!("{one}.json");
    // Only once each: of a second one it is not said under which name it is put aside.
    (!names.iter().any(|known| *known == name || known.starts_with(&format!("{name}.REFUSED")))).then_some(name)
}
