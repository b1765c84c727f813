//! Whom a command asks: a process elsewhere (`--url`), or a data directory and the process that runs on it.
//!
//! Nothing here makes a directory: one that is named and is none of ours is refused. Where there is a choice and nobody has
//! made it, standard error says whose answer it is.

use std::path::{Path, PathBuf};

use clap::Args;
use lakehead_store::{Store, holder};

use super::{backend::Backend, connection::TOKEN, process::Process};
use crate::{outcome::Failure, output::note};

/// Where the data is when nobody says: as in the default pipeline, else that of the demo.
const USUAL: [&str; 2] = ["./data", DEMO_DATA];

/// Where the demo's events are kept: apart from `./data`, so that simulated events never mix with real ones.
pub(crate) const DEMO_DATA: &str = "./demo-data";

/// The environment variable with the address of a process elsewhere.
const URL: &str = "LAKEHEAD_URL";

/// Whom a command asks, as the command line or the environment names it.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Target {
    /// Asks the process at this address, as in http://host:8080, in place of a data directory here. Also LAKEHEAD_URL;
    /// the token, where it has one, stands in LAKEHEAD_TOKEN or a file.
    #[arg(long, value_name = "URL", global = true)]
    url: Option<String>,
    /// A file with the token of the process that is asked, in place of LAKEHEAD_TOKEN.
    #[arg(long, value_name = "FILE", global = true)]
    token_file: Option<PathBuf>,
}

impl Target {
    /// The address that was named and by what, unless `data` names a directory, which goes before the environment.
    fn address(&self, data: Option<&Path>) -> Result<Option<(String, &'static str)>, Failure> {
        match (&self.url, data) {
            (Some(_), Some(_)) => Err(Failure::Usage(
                "--url asks a process elsewhere and --data a directory here: leave one of them out".into(),
            )),
            (Some(url), None) => Ok(Some((url.clone(), "--url"))),
            (None, Some(_)) => Ok(None),
            (None, None) => Ok(std::env::var(URL).ok().filter(|url| !url.is_empty()).map(|url| (url, URL))),
        }
    }

    /// The token for the process that is asked.
    pub(crate) fn token(&self) -> Result<Option<String>, Failure> {
        let Some(file) = &self.token_file else { return Ok(std::env::var(TOKEN).ok()) };
        let text = std::fs::read_to_string(file)
            .map_err(|error| Failure::Usage(format!("--token-file: reading {}: {error}", file.display())))?;
        Ok(Some(text.trim().to_owned()))
    }

    /// Whom to ask: the process elsewhere, else the one on the directory, else its files.
    pub(crate) fn backend(&self, data: Option<PathBuf>) -> Result<Backend, Failure> {
        match self.address(data.as_deref())? {
            Some((url, by)) => Ok(Backend::Process(Process::elsewhere(&base(&url, by)?, self.token()?)?)),
            None => Ok(Backend::find(&choose(data)?, self.token()?)?),
        }
    }

    /// The directory to read, for a command that reads files; `command` cannot ask a process elsewhere.
    pub(crate) fn directory(&self, data: Option<PathBuf>, command: &str) -> Result<PathBuf, Failure> {
        match self.address(data.as_deref())? {
            Some((_, by)) => Err(works_on_files(command, by)),
            None => choose(data),
        }
    }

    /// Refuses --url for a command that works on a directory which something else names.
    pub(crate) fn is_here(&self, command: &str) -> Result<(), Failure> {
        match &self.url {
            Some(_) => Err(works_on_files(command, "--url")),
            None => Ok(()),
        }
    }

    /// Refuses --token-file for a command that asks no process. What stands in the environment is for those that do.
    pub(crate) fn needs_no_token(&self, command: &str) -> Result<(), Failure> {
        match &self.token_file {
            Some(_) => Err(of_no_use(command, "--token-file")),
            None => Ok(()),
        }
    }

    /// Refuses both options for a command that asks no process and reads no data directory.
    pub(crate) fn is_nobody(&self, command: &str) -> Result<(), Failure> {
        match &self.url {
            Some(_) => Err(of_no_use(command, "--url")),
            None => self.needs_no_token(command),
        }
    }
}

fn works_on_files(command: &str, by: &str) -> Failure {
    Failure::Usage(format!(
        "`lakehead {command}` works on files, which a process elsewhere ({by}) does not hand over: run it on that machine, or \
         name a directory here with --data DIR"
    ))
}

fn of_no_use(command: &str, option: &str) -> Failure {
    Failure::Usage(format!("`lakehead {command}` asks no process, so {option} would do nothing: leave it out"))
}

/// `http://host:port`, without a slash at its end.
fn base(url: &str, by: &str) -> Result<String, Failure> {
    let wrong = |why: &str| Failure::Usage(format!("{by}: {url:?} {why}; write an address as in http://host:8080"));
    let parsed = reqwest::Url::parse(url).map_err(|_| wrong("is no address"))?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none_or(str::is_empty) {
        return Err(wrong("is no address of a server"));
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(wrong("has more than a server and a path"));
    }
    Ok(parsed.as_str().trim_end_matches('/').to_owned())
}

/// The directory that was named, else the one of the usual ones that is there; of two, the one that a process runs on goes
/// first.
fn choose(given: Option<PathBuf>) -> Result<PathBuf, Failure> {
    // One whose mark is damaged or gone is ours, too: the command says so, and `fsck` repairs it.
    let is_ours = |dir: &Path| match ["lakehead.json", "streams"].iter().any(|name| dir.join(name).exists()) {
        true => Ok(()),
        false => Store::open_read_only(dir).map(drop),
    };
    if let Some(dir) = given {
        return match is_ours(&dir) {
            Ok(()) => Ok(dir),
            Err(error) => Err(Failure::Usage(format!("--data: {error}"))),
        };
    }
    let there: Vec<PathBuf> = USUAL.iter().map(PathBuf::from).filter(|dir| dir.is_dir()).collect();
    let (ours, others): (Vec<PathBuf>, Vec<PathBuf>) = there.into_iter().partition(|dir| is_ours(dir).is_ok());
    match (ours.as_slice(), others.as_slice()) {
        ([], []) => Err(Failure::Usage(format!(
            "there is neither {} nor {} here; say where the data is with --data DIR",
            USUAL[0], USUAL[1]
        ))),
        ([], [first, ..]) => Err(match is_ours(first) {
            Ok(()) => Failure::Usage(format!("{} was made at this moment; try again", first.display())),
            Err(error) => Failure::Usage(format!("{error}; say where the data is with --data DIR")),
        }),
        ([only], _) => Ok(only.clone()),
        ([first, ..], _) => {
            let runs_on = |dir: &PathBuf| holder(dir).ok().flatten();
            let mut running = ours.iter().filter(|dir| runs_on(dir).is_some());
            let chosen = match (running.next(), running.next()) {
                (Some(one), None) => one,
                _ => first,
            };
            let who = match runs_on(chosen) {
                Some(process) => format!("process {} on {} answers", process.pid, chosen.display()),
                None => format!("the files of {} answer", chosen.display()),
            };
            let other = ours.iter().find(|dir| *dir != chosen).map(|dir| dir.display().to_string()).unwrap_or_default();
            note(format_args!("{who}; there is {other}, too: --data {other} asks that"));
            Ok(chosen.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_server_and_perhaps_a_path() {
        for (url, expected) in [
            ("http://127.0.0.1:8080/", Some("http://127.0.0.1:8080")),
            ("https://lake.example.org/edits/", Some("https://lake.example.org/edits")),
            ("127.0.0.1:8080", None),
            ("ftp://127.0.0.1/", None),
            ("lake", None),
            ("http://127.0.0.1/?a=b", None),
        ] {
            assert_eq!(base(url, "--url").ok().as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn a_directory_here_goes_before_the_environment_and_not_beside_the_option() {
        let named = Target { url: Some("http://127.0.0.1:1/".into()), ..Target::default() };
        assert!(named.address(Some(Path::new("./d"))).is_err());
        assert_eq!(named.address(None).expect("named").map(|(_, by)| by), Some("--url"));
        let nobody = Target::default();
        assert_eq!(nobody.address(Some(Path::new("./d"))).expect("a directory"), None);
    }

    #[test]
    fn a_command_that_asks_nobody_refuses_either_option() {
        for named in [
            Target { url: Some("http://127.0.0.1:1/".into()), token_file: None },
            Target { url: None, token_file: Some("token".into()) },
        ] {
            assert!(matches!(named.is_nobody("run"), Err(Failure::Usage(_))), "{named:?}");
        }
        assert!(Target::default().is_nobody("run").is_ok());
    }
}
