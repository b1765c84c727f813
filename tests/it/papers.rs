//! The commands of the papers, as they stand: those of README.md one after the other in an empty folder, those of docs/ in
//! the folder that they leave. What cannot run in a test is listed, with the reason, and counted.

use std::{
    fs,
    io::Read,
    path::Path,
    process::{Command, Stdio},
};

use crate::lakehead::{Lakehead, text};

/// The papers, in the order in which they are read.
const PAPERS: &[(&str, &str)] = &[
    ("README.md", include_str!("../../README.md")),
    ("docs/verify.md", include_str!("../../docs/verify.md")),
    ("docs/views.md", include_str!("../../docs/views.md")),
    ("docs/backup.md", include_str!("../../docs/backup.md")),
    ("docs/reload.md", include_str!("../../docs/reload.md")),
    ("docs/store.md", include_str!("../../docs/store.md")),
];

/// What a command of a paper is here.
enum Here {
    /// It runs as it stands.
    Runs,
    /// It begins a process that stays; the words stand for the ones of the paper.
    Stays(&'static [&'static str]),
    /// It goes on until it is interrupted: something must come, then it is ended.
    Follows,
    /// It may end with this code, for the reason.
    Ends(i32, &'static str),
    /// It cannot run in a test, for the reason.
    Not(&'static str),
}

/// Every command that does not run as it stands, by its beginning.
const SPECIAL: &[(&str, Here)] = &[
    ("cargo run --release -- demo", Here::Stays(&["demo"])),
    ("cargo run --release -- run", Here::Stays(&["run"])),
    ("cargo xtask test", Here::Not("it would run this test")),
    ("cargo install", Here::Not("it would build everything")),
    ("sha256sum --check", Here::Not("`cargo xtask dist` makes it, from a commit")),
    ("tar -xzf lakehead", Here::Not("`cargo xtask dist` makes it, from a commit")),
    ("./lakehead-", Here::Not("it lies in the archive")),
    ("sudo", Here::Not("it would change the machine")),
    ("lakehead run mine.toml --data ./mine", Here::Stays(&["run", "mine.toml", "--data", "./mine"])),
    ("lakehead tail", Here::Follows),
    ("lakehead verify --last", Here::Ends(1, "no audit has ended on this process yet")),
    (
        "lakehead reload --data ./data",
        Here::Ends(2, "the process of the test runs the default pipeline, which has no file"),
    ),
    ("lakehead view diff", Here::Ends(2, "no view is built beside it")),
    ("lakehead view swap", Here::Ends(2, "no view waits")),
    ("lakehead fsck --repair", Here::Ends(2, "a process runs on the directory")),
    ("lakehead fsck", Here::Runs),
    ("python3 -c", Here::Not("the readers of docs/lake.md have tests of their own (readers.rs)")),
    ("zstdcat", Here::Not("the readers of docs/lake.md have tests of their own (readers.rs)")),
    ("rsync", Here::Not("it need not be installed")),
    ("kill -HUP PID", Here::Not("PID stands for a number; reload.rs sends the signal")),
];

/// How many commands of the papers cannot run here; a paper with more of them has to say why, above.
const NOT_MAX: usize = 15;

/// The lines of the blocks of commands of a paper, without comments.
fn commands(paper: &'static str) -> impl Iterator<Item = &'static str> {
    let blocks = paper.split("\n```sh\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    let lines = blocks.flat_map(str::lines).map(|line| line.split(" #").next().unwrap_or(line).trim());
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The folder of the papers, and what runs in it.
struct Desk<'a> {
    folder: &'a Path,
    upstream: &'a Lakehead,
    /// The process that a command stands for that names 127.0.0.1:8080.
    address: String,
    staying: Vec<Lakehead>,
}

impl Desk<'_> {
    fn start(&mut self, words: &[&str]) {
        // What a paper does one after the other has one port; here each has its own.
        let url = format!("http://{}/v2/stream/recentchange", self.upstream.address);
        let mut words: Vec<&str> = words.to_vec();
        words.extend(["--listen", "127.0.0.1:0"]);
        match words.as_slice() {
            // Wikimedia itself is not asked by a test.
            ["run", "--listen", ..] => words.extend(["--upstream", &url]),
            ["demo", ..] => words.extend(["--rate", "2000"]),
            _ => {}
        }
        let process = Lakehead::start_in(self.folder, &words);
        self.address.clone_from(&process.address);
        if words[0] == "demo" {
            process.until_stored("recentchange", 500);
            assert!(process.finish().success());
            return;
        }
        if words[1] != "mine.toml" {
            process.until_counted("recentchange", 500);
        }
        self.staying.push(process);
    }

    fn shell(&self, command: &str) -> Command {
        let command = command.replace("127.0.0.1:8080", &self.address).replace("/backup/lake", "backup/lake");
        let program = Path::new(env!("CARGO_BIN_EXE_lakehead")).parent().expect("it lies in a folder");
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
        let mut shell = Command::new("bash");
        shell.args(["-c", &command]).current_dir(self.folder).env("PATH", path).env("HOME", self.folder);
        shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        shell
    }

    fn run(&self, command: &str, code: i32) -> Result<(), String> {
        let said = self.shell(command).output().expect("bash starts");
        let told = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
        if said.status.code() != Some(code) || told.contains("panicked") {
            return Err(format!("ended with {:?}, not {code}: {told}", said.status.code()));
        }
        Ok(())
    }

    fn follow(&self, command: &str) -> Result<(), String> {
        let mut child = self.shell(&format!("exec {command}")).spawn().expect("bash starts");
        let mut first = [0];
        let came = child.stdout.take().is_some_and(|mut out| out.read_exact(&mut first).is_ok());
        child.kill().expect("it can be ended");
        child.wait().expect("it ends");
        if came { Ok(()) } else { Err("nothing came".to_owned()) }
    }
}

/// What the papers take as given: a pipeline file, older events.
fn lay_out(folder: &Path) {
    let readme = PAPERS[0].1;
    let mine =
        readme.split("```toml\n# mine.toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("mine.toml");
    fs::write(folder.join("mine.toml"), mine).expect("a file");
    fs::write(folder.join("pipeline.toml"), "[stream.recentchange]\nretention = \"90d\"\n").expect("a file");
    fs::create_dir(folder.join("old")).expect("a folder");
    let event = |second: u32| {
        format!(
            "{{\"meta\":{{\"id\":\"old-{second}\",\"dt\":\"2026-11-23T10:00:{second:02}Z\"}},\"title\":\"T\",\"type\":\"edit\",\"wiki\":\"enwiki\"}}\n"
        )
    };
    fs::write(folder.join("old/a.jsonl"), (0..20).map(event).collect::<String>()).expect("a file");
    let more: String = (20..40).map(event).collect();
    let file = fs::File::create(folder.join("more.jsonl.gz")).expect("a file");
    let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::default());
    std::io::Write::write_all(&mut packed, more.as_bytes()).expect("written");
    packed.finish().expect("whole");
}

#[test]
fn the_commands_of_the_papers_run_as_they_stand() {
    let folder = tempfile::tempdir().expect("a folder");
    lay_out(folder.path());
    let upstream = Lakehead::start(&["simulate", "--rate", "2000", "--seed", "7", "--listen", "127.0.0.1:0"]);
    let mut desk = Desk { folder: folder.path(), upstream: &upstream, address: String::new(), staying: Vec::new() };
    let (mut ran, mut not, mut wrong) = (0, Vec::new(), Vec::new());
    for (paper, contents) in PAPERS {
        if *paper != "README.md"
            && let Some(process) = desk.staying.first()
        {
            // These are about the data of `run`.
            desk.address.clone_from(&process.address);
        }
        for command in commands(contents) {
            let here =
                SPECIAL.iter().find(|(begins, _)| command.starts_with(begins)).map_or(&Here::Runs, |(_, here)| here);
            let told = match here {
                Here::Runs => desk.run(command, 0),
                Here::Ends(code, why) => {
                    desk.run(command, *code).map_err(|said| format!("{said} (expected since {why})"))
                }
                Here::Follows => desk.follow(command),
                Here::Stays(words) => {
                    desk.start(words);
                    Ok(())
                }
                Here::Not(why) => {
                    not.push(format!("{command}: {why}"));
                    continue;
                }
            };
            ran += 1;
            if let Err(why) = told {
                wrong.push(format!("{paper}: {command}\n  {why}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {ran} commands:\n{}", wrong.len(), wrong.join("\n"));
    assert!(ran > 25, "only {ran} commands were found");
    assert!(not.len() <= NOT_MAX, "{} commands are not run: {not:?}", not.len());
    assert!(text(folder.path()).len() > 1);
}
