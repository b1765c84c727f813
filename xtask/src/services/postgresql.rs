//! `postgresql`: PostgreSQL as Debian packages it, with a user `lakehead` who needs no password.
//!
//! Root may not run PostgreSQL, so root's server runs as the system's user `postgres`.

use std::{
    fs,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use super::{
    bound::bound_to_starter,
    instance::{self, Instance},
    service::{Launch, Service, User},
    tool,
};
use crate::{command::on_path, setup};

/// Where Debian puts the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";

const PACKAGE: &str = "postgresql";

/// Making an empty cluster takes 2 s.
const TOOL_WITHIN: Duration = Duration::from_secs(60);

pub(crate) struct PostgreSql;

impl Service for PostgreSql {
    fn name(&self) -> &'static str {
        "postgresql"
    }

    fn lacks(&self) -> Option<String> {
        if programs().is_none() && !setup::may_install() {
            return Some(format!("it is not installed (Debian: apt-get install {PACKAGE})"));
        }
        let root = instance::root();
        let locked = locked(&root).filter(|_| setup::is_root());
        locked.map(|folder| format!("root may not run it, and its own user may not enter {}", folder.display()))
    }

    fn ports(&self) -> &'static [&'static str] {
        &["sql"]
    }

    fn download(&self) -> Result<()> {
        if programs().is_some() {
            return Ok(());
        }
        eprintln!("services: installing {PACKAGE}");
        setup::install(&[PACKAGE])
    }

    fn prepare(&self, instance: &Instance) -> Result<()> {
        let user = user()?;
        if let Some(User { uid, gid }) = user {
            chown(instance.folder(), Some(uid), Some(gid)).context("giving it its folder")?;
        }
        let mut make = bound_to_starter(&program("initdb")?, "KILL", user);
        make.args(["--username=lakehead", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"]);
        tool::output(make.arg(instance.path("data")), TOOL_WITHIN).map(drop)
    }

    fn launches(&self, instance: &Instance) -> Result<Vec<Launch>> {
        let mut command = program("postgres")?;
        command.args(["-D", &instance.path("data"), "-h", "127.0.0.1", "-p", &instance.port("sql").to_string()]);
        // No socket file: it would lie outside the instance, or at a path that is too long.
        command.args(["-c", "unix_socket_directories="]);
        // SIGINT is its fast end: it waits for no client.
        Ok(vec![Launch { name: "server", command, user: user()?, stop_signal: "INT", ready }])
    }

    fn addresses(&self, instance: &Instance) -> Vec<(&'static str, String)> {
        vec![("POSTGRESQL_URL", url(instance))]
    }

    fn smoke(&self, instance: &Instance) -> Result<()> {
        let sql = "CREATE TABLE words (word text); INSERT INTO words VALUES ('hello'); SELECT word FROM words";
        match psql(instance, sql)?.trim() {
            "hello" => Ok(()),
            said => bail!("`hello` was inserted, and this was selected: {said:?}"),
        }
    }
}

fn url(instance: &Instance) -> String {
    format!("postgresql://lakehead@{}/postgres", instance.address("sql"))
}

fn ready(instance: &Instance) -> Result<()> {
    psql(instance, "SELECT 1").map(drop)
}

fn psql(instance: &Instance, sql: &str) -> Result<String> {
    let mut psql = program("psql")?;
    psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--dbname", &url(instance), "--command", sql]);
    tool::output(&psql, TOOL_WITHIN)
}

fn program(name: &str) -> Result<Command> {
    let folder = programs().context("PostgreSQL's programs are not there")?;
    let mut command = Command::new(folder.join(name));
    // Messages are read here.
    command.env("LC_ALL", "C").current_dir("/");
    Ok(command)
}

/// The folder of the newest version's programs, or that of a PostgreSQL on the path.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let installed = versions.filter(|version| version.path().join("bin/initdb").is_file());
    let number = |folder: &fs::DirEntry| folder.file_name().to_string_lossy().parse::<u32>().unwrap_or(0);
    if let Some(newest) = installed.max_by_key(number) {
        return Some(newest.path().join("bin"));
    }
    let path = std::env::var_os("PATH").filter(|_| on_path("initdb"))?;
    std::env::split_paths(&path).find(|folder| folder.join("initdb").is_file())
}

/// Who runs the server: `postgres` where root starts it.
fn user() -> Result<Option<User>> {
    if !setup::is_root() {
        return Ok(None);
    }
    let id = |word: &str| -> Result<u32> {
        let said = tool::output(Command::new("id").args([word, "postgres"]), TOOL_WITHIN)?;
        said.trim().parse().with_context(|| format!("`id {word} postgres` says {said:?}"))
    };
    Ok(Some(User { uid: id("-u")?, gid: id("-g")? }))
}

/// The first folder on the way down to `path` that only its owner may enter.
fn locked(path: &Path) -> Option<&Path> {
    const OTHERS_MAY_ENTER: u32 = 0o001;
    let mut folders: Vec<&Path> = path.ancestors().collect();
    folders.reverse();
    folders.into_iter().find(|folder| fs::metadata(folder).is_ok_and(|about| about.mode() & OTHERS_MAY_ENTER == 0))
}
