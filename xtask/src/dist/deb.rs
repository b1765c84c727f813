//! The Debian package: the binary as a service that is started when somebody says so, under a user of its own.
//!
//! Made with dpkg-deb alone, so without a Debian source package; where there is no dpkg-deb, it is skipped and said to be.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, anyhow, bail};

use super::{
    contents::Contents,
    depends, notices,
    release::Release,
    scripts::SHELLS,
    stage::{FILE, PROGRAM, Stage},
};
use crate::command::{on_path, output, root, run};

/// The pipeline that `lakehead run` runs without a file: what the service begins with, but for its data directory.
const PIPELINE: &str = include_str!("../../../src/default_pipeline.toml");

/// Where an administrator edits it.
const CONFIGURED: &str = "etc/lakehead/pipeline.toml";

/// The heads of the pipeline as it stands in the source and as the service has it, and its data directory in both.
const REPLACED: &[(&str, &str)] = &[
    (
        "# `lakehead run` without a file runs this; copy it and change it to make your own.\n",
        "# The service runs this: `systemctl reload lakehead` after a change (`lakehead check FILE` says what is wrong with it).\n",
    ),
    ("data = \"./data\"                       #", "data = \"/var/lib/lakehead\"            #"),
];

/// Files of the package that are the same for every release: where they go, and what is in them.
const FIXED: &[(&str, &str)] = &[
    ("usr/lib/systemd/system/lakehead.service", include_str!("debian/lakehead.service")),
    ("usr/share/doc/lakehead/README.Debian", include_str!("debian/README.Debian")),
    ("usr/share/doc/lakehead/copyright", include_str!("debian/copyright")),
];

/// What dpkg runs.
const SCRIPTS: &[(&str, &str)] = &[
    ("postinst", include_str!("debian/postinst")),
    ("postrm", include_str!("debian/postrm")),
    ("prerm", include_str!("debian/prerm")),
];

/// Who answers for the package. No address of a person is known: whoever builds packages for others sets their own.
const MAINTAINER: &str = "Lakehead <lakehead@packages.invalid>";

/// Its variable.
const MAINTAINER_VARIABLE: &str = "LAKEHEAD_DEB_MAINTAINER";

/// Writes it into `dist`.
pub(super) fn make(release: &Release, contents: &Contents, work: &Path, dist: &Path) -> Result<()> {
    if !on_path("dpkg-deb") {
        println!("skipped: the Debian package, since there is no dpkg-deb here (Debian: apt-get install dpkg)");
        return Ok(());
    }
    let Some(architecture) = architecture(&release.target) else {
        println!("skipped: the Debian package, since Debian has no name for {} here", release.target);
        return Ok(());
    };
    let version = version(&release.version);
    let maintainer = std::env::var(MAINTAINER_VARIABLE).unwrap_or_else(|_| MAINTAINER.to_owned());
    let stage = Stage::new(work.join("deb"))?;
    fill(&stage, contents)?;
    let changelog = changelog(&version, &maintainer, &date(release.epoch)?);
    stage.put("usr/share/doc/lakehead/changelog.gz", FILE, &gzip(changelog.as_bytes())?)?;

    let sums = sums(&stage)?;
    let control = control(&version, architecture, &maintainer, installed_kib(&stage)?, &depends::of(&contents.binary)?);
    stage.put("DEBIAN/control", FILE, control.as_bytes())?;
    stage.put("DEBIAN/conffiles", FILE, format!("/{CONFIGURED}\n").as_bytes())?;
    stage.put("DEBIAN/md5sums", FILE, sums.as_bytes())?;
    for (name, text) in SCRIPTS {
        stage.put(&format!("DEBIAN/{name}"), PROGRAM, text.as_bytes())?;
    }
    stage.seal(release.epoch)?;
    // One thread: xz's result differs between one and several.
    run(Command::new("dpkg-deb")
        .env("SOURCE_DATE_EPOCH", release.epoch.to_string())
        .env("DPKG_DEB_THREADS_MAX", "1")
        .args(["--root-owner-group", "-Zxz", "--build"])
        .arg(stage.root())
        .arg(dist.join(format!("lakehead_{version}_{architecture}.deb")))
        .stdout(Stdio::null()))
}

/// Everything that is installed, the changelog excepted.
fn fill(stage: &Stage, contents: &Contents) -> Result<()> {
    stage.put("usr/bin/lakehead", PROGRAM, &fs::read(&contents.binary).context("reading the stripped binary")?)?;
    stage.put(CONFIGURED, FILE, pipeline(PIPELINE)?.as_bytes())?;
    for (path, text) in FIXED {
        stage.put(path, FILE, text.as_bytes())?;
    }
    for ((.., path), text) in SHELLS.iter().zip(&contents.completions) {
        stage.put(path, FILE, text)?;
    }
    for (name, page) in &contents.manual {
        stage.put(&format!("usr/share/man/man1/{name}.gz"), FILE, &gzip(page)?)?;
    }
    let changes = fs::read(root().join("CHANGELOG.md")).context("reading CHANGELOG.md")?;
    stage.put("usr/share/doc/lakehead/CHANGELOG.md.gz", FILE, &gzip(&changes)?)?;
    let notices = gzip(contents.notices.as_bytes())?;
    stage.put(&format!("usr/share/doc/lakehead/{}.gz", notices::FILE), FILE, &notices)
}

/// The service's pipeline, made of the default one.
fn pipeline(default: &str) -> Result<String> {
    let mut text = default.to_owned();
    for (from, to) in REPLACED {
        if text.matches(from).count() != 1 {
            bail!("the default pipeline has not once {from:?}, which the package replaces");
        }
        text = text.replace(from, to);
    }
    Ok(text)
}

/// Debian's name for a machine.
fn architecture(target: &str) -> Option<&'static str> {
    match target {
        "x86_64-unknown-linux-gnu" => Some("amd64"),
        "aarch64-unknown-linux-gnu" => Some("arm64"),
        _ => None,
    }
}

/// A version in Debian's order, where what comes before a release has a tilde: 0.2.0~rc.1 is older than 0.2.0.
fn version(version: &str) -> String {
    version.replacen('-', "~", 1)
}

fn control(version: &str, architecture: &str, maintainer: &str, installed_kib: u64, depends: &str) -> String {
    format!(
        "Package: lakehead\n\
         Version: {version}\n\
         Architecture: {architecture}\n\
         Maintainer: {maintainer}\n\
         Installed-Size: {installed_kib}\n\
         Depends: {depends}\n\
         Section: database\n\
         Priority: optional\n\
         Description: keeps a live stream of JSON events and counts it with SQL\n \
         Lakehead keeps a live stream of JSON events in a log of plain .jsonl.zst files,\n \
         counts it by SQL views that are updated as events come, and shows both on a\n \
         dashboard. It reads Wikimedia's EventStreams, and takes whatever sends HTTP.\n \
         .\n \
         The package has a service, which is not started until somebody enables it:\n \
         systemctl enable --now lakehead\n"
    )
}

/// Debian's changelog, which only says where the changes stand.
fn changelog(version: &str, maintainer: &str, date: &str) -> String {
    format!(
        "lakehead ({version}) unstable; urgency=medium\n\n  * Release {version}: see CHANGELOG.md.gz beside this file.\n\n -- \
         {maintainer}  {date}\n"
    )
}

/// A time as Debian's changelog has it.
fn date(epoch: u64) -> Result<String> {
    let said = output(
        Command::new("date")
            .env("LC_ALL", "C")
            .arg("--utc")
            .arg(format!("--date=@{epoch}"))
            .arg("+%a, %d %b %Y %T +0000"),
    )?;
    Ok(said.trim().to_owned())
}

/// The sums that `dpkg --verify` compares with.
fn sums(stage: &Stage) -> Result<String> {
    let files = stage.entries()?.into_iter().filter(|entry| entry.is_file());
    let names = files.map(|file| file.strip_prefix(stage.root()).map(Path::to_owned)).collect::<Result<Vec<_>, _>>()?;
    output(Command::new("md5sum").current_dir(stage.root()).arg("--").args(names))
}

/// What is installed, in KiB: each file and each folder at least one, as Debian counts.
fn installed_kib(stage: &Stage) -> Result<u64> {
    let mut kib = 0;
    for entry in stage.entries()? {
        let about = fs::metadata(&entry).with_context(|| format!("asking for the size of {}", entry.display()))?;
        kib += if about.is_file() { about.len().div_ceil(1_024).max(1) } else { 1 };
    }
    Ok(kib)
}

/// `bytes` compressed as Debian wants it, without a name and a time.
fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut child = Command::new("gzip")
        .arg("-9n")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("`gzip` could not be started")?;
    let mut input = child.stdin.take().context("gzip's input was asked for")?;
    let said = std::thread::scope(|scope| {
        let writing = scope.spawn(move || input.write_all(bytes));
        let said = child.wait_with_output().context("waiting for gzip")?;
        writing.join().map_err(|_| anyhow!("writing to gzip panicked"))?.context("writing to gzip")?;
        Ok::<_, anyhow::Error>(said)
    })?;
    if !said.status.success() {
        bail!("`gzip -9n` failed: {}", said.status);
    }
    Ok(said.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_services_pipeline_is_the_default_one_with_its_own_data_directory() {
        let text = pipeline(PIPELINE).expect("the default pipeline has what is replaced");
        let table: toml::Table = text.parse().expect("TOML");
        assert_eq!(table["data"].as_str(), Some("/var/lib/lakehead"));
        assert_eq!(table["stream"], PIPELINE.parse::<toml::Table>().expect("TOML")["stream"]);
        assert!(!text.contains("without a file"), "{text}");
        assert!(pipeline("data = \"elsewhere\"").is_err());
    }

    #[test]
    fn the_unit_and_the_scripts_name_what_the_package_installs() {
        let unit = FIXED[0].1;
        assert!(unit.contains(&format!("ExecStart=/usr/bin/lakehead run /{CONFIGURED}\n")), "{unit}");
        assert!(unit.contains("User=lakehead\n") && unit.contains("StateDirectory=lakehead\n"), "{unit}");
        for (name, script) in SCRIPTS {
            assert!(script.starts_with("#!/bin/sh\n") && script.contains("\nset -e\n"), "{name}");
        }
    }

    #[test]
    fn what_comes_before_a_release_is_older_in_debians_order() {
        assert_eq!(["0.1.0", "0.2.0-rc.1"].map(version), ["0.1.0", "0.2.0~rc.1"]);
        assert_eq!(architecture("x86_64-unknown-linux-gnu"), Some("amd64"));
        assert_eq!(architecture("riscv64gc-unknown-linux-gnu"), None);
    }

    #[test]
    fn the_control_file_is_one_paragraph() {
        let control = control("0.1.0", "amd64", MAINTAINER, 7, "libc6 (>= 2.36)");
        assert!(control.ends_with('\n') && !control.contains("\n\n"), "{control}");
        for line in control.lines() {
            assert!(line.starts_with(' ') || line.contains(": "), "{line:?}");
            assert!(line.len() <= 80, "{line:?}");
        }
    }

    #[test]
    fn a_time_is_written_as_mail_has_it() {
        assert_eq!(date(1_795_953_600).expect("date runs"), "Sun, 29 Nov 2026 12:00:00 +0000");
    }
}
