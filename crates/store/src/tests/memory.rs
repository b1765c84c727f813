//! A file system in memory that knows what would survive a power cut, and fails on demand.
//!
//! Each file has what programs see and what is on the disk, and between them the writes that no sync has carried over. A
//! failed sync forgets those writes, as Linux does: programs still see them, no later sync carries them over.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::Duration,
};

use crate::disk::files::{Access, File, Files, FolderEntry};

/// Longest wait for the store's threads: whatever takes longer hangs.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// An operation that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Create,
    Write,
    Sync,
    Truncate,
    SyncFolder,
    Remove,
    Rename,
    List,
    Open,
    Read,
}

#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Truncate(usize),
}

#[derive(Clone, Debug, Default)]
struct Node {
    seen: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone, Debug, Default)]
struct Disk {
    nodes: Vec<Node>,
    /// Files by path, as programs see them and as on the disk.
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    folders: BTreeSet<PathBuf>,
    durable_folders: BTreeSet<PathBuf>,
}

#[derive(Debug, Default)]
struct State {
    disk: Disk,
    /// Fails the operation when its count has run down, once.
    faults: Vec<(Op, u32, io::ErrorKind)>,
    /// Every operation of these kinds fails.
    broken: Vec<(Op, io::ErrorKind)>,
    /// What is left on the disk; without limit when `None`.
    free_bytes: Option<u64>,
    hold_syncs: bool,
    syncs_waiting: u32,
    done: Vec<Op>,
}

/// The file system. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    node: usize,
    writable: bool,
}

/// What a power cut does to a write that was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Kept,
    Lost,
    /// Only so many of its bytes came through.
    Torn(usize),
    /// The length came through, the bytes did not.
    Zeroed,
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { at, bytes: new } => {
            let end = at + new.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes.get_mut(*at..end).expect("resized").copy_from_slice(new);
        }
        Change::Truncate(len) => bytes.truncate(*len),
    }
}

impl State {
    fn step(&mut self, op: Op) -> io::Result<()> {
        self.done.push(op);
        if let Some((_, kind)) = self.broken.iter().find(|(broken, _)| *broken == op) {
            return Err((*kind).into());
        }
        for fault in self.faults.iter_mut().filter(|fault| fault.0 == op) {
            fault.1 = fault.1.saturating_sub(1);
        }
        match self.faults.iter().position(|fault| fault.0 == op && fault.1 == 0) {
            Some(due) => Err(self.faults.remove(due).2.into()),
            None => Ok(()),
        }
    }

    fn node(&mut self, node: usize) -> &mut Node {
        self.disk.nodes.get_mut(node).expect("handles name nodes that exist")
    }
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect("no test panics under the lock")
    }

    fn handle(&self, node: usize, writable: bool) -> Arc<dyn File> {
        Arc::new(Handle { shared: Arc::clone(&self.shared), node, writable })
    }

    /// The `nth` operation of this kind from now (1 is the next) fails, once. A write that fails does half its work.
    pub(super) fn fail(&self, op: Op, nth: u32, kind: io::ErrorKind) {
        self.lock().faults.push((op, nth, kind));
    }

    /// Whether an operation that [`fail`](Self::fail) has named is still to come.
    pub(super) fn has_a_fault_left(&self) -> bool {
        !self.lock().faults.is_empty()
    }

    /// Every operation of this kind fails until [`mend`](Self::mend).
    pub(super) fn break_down(&self, op: Op, kind: io::ErrorKind) {
        self.lock().broken.push((op, kind));
    }

    pub(super) fn mend(&self) {
        let mut state = self.lock();
        state.broken.clear();
        state.faults.clear();
    }

    /// From now on the disk says that so much is left.
    pub(super) fn leave_free(&self, bytes: u64) {
        self.lock().free_bytes = Some(bytes);
    }

    /// Syncs wait from now on until [`release_syncs`](Self::release_syncs).
    pub(super) fn hold_syncs(&self) {
        self.lock().hold_syncs = true;
    }

    pub(super) fn release_syncs(&self) {
        self.lock().hold_syncs = false;
        self.shared.changed.notify_all();
    }

    /// Returns once a sync waits.
    pub(super) fn wait_for_a_held_sync(&self) {
        self.wait_while(|state| state.syncs_waiting == 0);
    }

    /// Returns once so many operations of this kind have begun since the file system was made.
    pub(super) fn wait_for(&self, op: Op, count: usize) {
        self.wait_while(|state| state.done.iter().filter(|done| **done == op).count() < count);
    }

    fn wait_while(&self, is_so: impl FnMut(&mut State) -> bool) {
        let waited = self.shared.changed.wait_timeout_while(self.lock(), WAIT_MAX, is_so);
        let (_state, waited) = waited.expect("no test panics under the lock");
        assert!(!waited.timed_out(), "the store has not come so far within {WAIT_MAX:?}");
    }

    pub(super) fn count(&self, op: Op) -> usize {
        self.lock().done.iter().filter(|done| **done == op).count()
    }

    /// The same disk after the process has ended: all that programs saw is there, nothing more is durable than before.
    pub(super) fn after_kill(&self) -> Self {
        Self::of(self.lock().disk.clone())
    }

    /// The disk after a power cut, in which `fate` decides over every write that was not synced. Names whose folder was not
    /// synced are kept when `keeps_names`.
    pub(super) fn after_power_cut(&self, keeps_names: bool, mut fate: impl FnMut() -> Fate) -> Self {
        let mut disk = self.lock().disk.clone();
        for node in &mut disk.nodes {
            let mut bytes = std::mem::take(&mut node.durable);
            for change in std::mem::take(&mut node.pending) {
                match (fate(), &change) {
                    (Fate::Kept, change) => apply(&mut bytes, change),
                    (Fate::Torn(len), Change::Write { at, bytes: new }) => {
                        let bytes_kept = new.iter().take(len).copied().collect();
                        apply(&mut bytes, &Change::Write { at: *at, bytes: bytes_kept });
                    }
                    (Fate::Zeroed, Change::Write { at, bytes: new }) => {
                        apply(&mut bytes, &Change::Write { at: *at, bytes: vec![0; new.len()] });
                    }
                    _ => {}
                }
            }
            node.seen = bytes.clone();
            node.durable = bytes;
        }
        if !keeps_names {
            let folders = disk.durable_folders.clone();
            let root = Path::new("/data");
            let reached = |path: &Path| {
                path.ancestors().skip(1).take_while(|p| *p != root && p.starts_with(root)).all(|p| folders.contains(p))
            };
            disk.names =
                disk.durable_names.iter().filter(|(path, _)| reached(path)).map(|(p, n)| (p.clone(), *n)).collect();
            disk.folders = folders;
        }
        disk.durable_names = disk.names.clone();
        disk.durable_folders = disk.folders.clone();
        Self::of(disk)
    }

    fn of(disk: Disk) -> Self {
        let memory = Self::default();
        memory.lock().disk = disk;
        memory
    }

    pub(super) fn bytes(&self, path: &Path) -> Vec<u8> {
        let mut state = self.lock();
        let node = *state.disk.names.get(path).expect("the file is there");
        state.node(node).seen.clone()
    }

    /// Puts these bytes into a file, as seen and on the disk.
    pub(super) fn put(&self, path: &Path, bytes: Vec<u8>) {
        let mut state = self.lock();
        let count = state.disk.nodes.len();
        state.disk.nodes.push(Node { seen: bytes.clone(), durable: bytes, pending: Vec::new() });
        state.disk.names.insert(path.to_owned(), count);
        state.disk.durable_names.insert(path.to_owned(), count);
        for folder in path.ancestors().skip(1) {
            state.disk.folders.insert(folder.to_owned());
            state.disk.durable_folders.insert(folder.to_owned());
        }
    }

    pub(super) fn remove_file(&self, path: &Path) {
        let mut state = self.lock();
        state.disk.names.remove(path);
        state.disk.durable_names.remove(path);
    }

    /// The folders there are.
    pub(super) fn folders(&self) -> Vec<PathBuf> {
        self.lock().disk.folders.iter().cloned().collect()
    }

    /// The files under `folder`, in order.
    pub(super) fn paths(&self, folder: &str) -> Vec<PathBuf> {
        self.lock().disk.names.keys().filter(|path| path.starts_with(folder)).cloned().collect()
    }
}

impl Files for Memory {
    fn create_folders(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.disk.folders.extend(path.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut state = self.lock();
        state.step(Op::Create)?;
        if state.disk.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if !path.parent().is_some_and(|folder| state.disk.folders.contains(folder)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let node = state.disk.nodes.len();
        state.disk.nodes.push(Node::default());
        state.disk.names.insert(path.to_owned(), node);
        drop(state);
        Ok(self.handle(node, true))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>> {
        let mut state = self.lock();
        state.step(Op::Open)?;
        let node = *state.disk.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        drop(state);
        Ok(self.handle(node, access == Access::Write))
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.step(Op::SyncFolder)?;
        let Disk { names, durable_names, folders, durable_folders, .. } = &mut state.disk;
        durable_names.retain(|name, _| name.parent() != Some(path));
        durable_names.extend(names.iter().filter(|(n, _)| n.parent() == Some(path)).map(|(n, i)| (n.clone(), *i)));
        durable_folders.retain(|folder| folder.parent() != Some(path) || folders.contains(folder));
        durable_folders.extend(folders.iter().filter(|f| f.parent() == Some(path)).cloned());
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.step(Op::Rename)?;
        let node = state.disk.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.disk.names.insert(to.to_owned(), node);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.step(Op::Remove)?;
        state.disk.names.remove(path).map(|_| ()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let in_use = state.disk.names.keys().chain(&state.disk.folders).any(|name| name.parent() == Some(path));
        if in_use {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        state.disk.folders.remove(path);
        Ok(())
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(self.lock().free_bytes.unwrap_or(u64::MAX))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<FolderEntry>> {
        let mut state = self.lock();
        state.step(Op::List)?;
        let name = |p: &Path| p.file_name().and_then(|n| n.to_str()).expect("test names are text").to_owned();
        let mut entries = Vec::new();
        for folder in state.disk.folders.iter().filter(|f| f.parent() == Some(path)) {
            entries.push(FolderEntry { name: name(folder), is_folder: true, len: 0 });
        }
        for (file, node) in state.disk.names.iter().filter(|(f, _)| f.parent() == Some(path)) {
            let len = state.disk.nodes.get(*node).map_or(0, |n| n.seen.len() as u64);
            entries.push(FolderEntry { name: name(file), is_folder: false, len });
        }
        Ok(entries)
    }
}

impl Handle {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect("no test panics under the lock")
    }

    fn change(&self, state: &mut State, change: Change) -> io::Result<()> {
        if !self.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let node = state.node(self.node);
        apply(&mut node.seen, &change);
        node.pending.push(change);
        Ok(())
    }
}

impl File for Handle {
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let mut state = self.lock();
        state.step(Op::Read)?;
        let at = usize::try_from(at).expect("small files");
        let bytes = state.node(self.node).seen.get(at..at + buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let mut state = self.lock();
        let at = usize::try_from(at).expect("small files");
        let step = state.step(Op::Write);
        let len = if step.is_ok() { bytes.len() } else { bytes.len() / 2 };
        self.change(&mut state, Change::Write { at, bytes: bytes.iter().take(len).copied().collect() })?;
        drop(state);
        self.shared.changed.notify_all();
        step
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.syncs_waiting += 1;
        self.shared.changed.notify_all();
        // What is written while a sync is held is not covered by it: the bytes are taken when it goes on, which is later than
        // promised and so hides nothing that the store relies on.
        while state.hold_syncs {
            state = self.shared.changed.wait(state).expect("no test panics under the lock");
        }
        state.syncs_waiting -= 1;
        let step = state.step(Op::Sync);
        let node = state.node(self.node);
        let pending = std::mem::take(&mut node.pending);
        if step.is_ok() {
            for change in &pending {
                apply(&mut node.durable, change);
            }
        }
        drop(state);
        self.shared.changed.notify_all();
        step
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut state = self.lock();
        state.step(Op::Truncate)?;
        self.change(&mut state, Change::Truncate(usize::try_from(len).expect("small files")))
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().node(self.node).seen.len() as u64)
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        Ok(self.lock().disk.names.get(path) == Some(&self.node))
    }
}
