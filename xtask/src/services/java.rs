//! Java servers: which Java is here, and the words that every one of them is started with.

use std::{ops::RangeInclusive, path::PathBuf, process::Command, sync::OnceLock};

use super::instance::Instance;
use crate::command::on_path;

/// Heap of one process: these are servers for tests, several on a machine.
const HEAP: &str = "-Xmx512m";

/// Why a server that takes these versions of Java cannot run here; `None` when it can.
pub(crate) fn lacks(versions: RangeInclusive<u32>) -> Option<String> {
    let (first, last) = (versions.start(), versions.end());
    match version() {
        None => Some(format!("Java is missing (it takes {first} to {last})")),
        Some(found) if !versions.contains(&found) => Some(format!("Java is {found}, it takes {first} to {last}")),
        Some(_) if !on_path("mvn") => Some("Maven is missing, which resolves its jars".to_owned()),
        Some(_) => None,
    }
}

/// Why a class cannot be started from its source here; `None` when it can. A runtime alone has no compiler.
pub(crate) fn lacks_compiler() -> Option<String> {
    let said = Command::new(program()).arg("--list-modules").output().ok();
    let has_compiler = said.is_some_and(|said| String::from_utf8_lossy(&said.stdout).contains("jdk.compiler"));
    (!has_compiler).then(|| "Java is without its compiler, which starts a class from its source".to_owned())
}

/// `java` with a small heap and nothing written outside the instance. The caller adds its own words, then the class.
pub(crate) fn command(instance: &Instance, class_path: &str) -> Command {
    let mut command = Command::new(program());
    command
        .arg(HEAP)
        .args(["-XX:+UseSerialGC", "-XX:+PerfDisableSharedMem", "-Djava.net.preferIPv4Stack=true"])
        .arg(format!("-Djava.io.tmpdir={}", instance.path("tmp")))
        .args(["-cp", class_path])
        // Words for all Java programs of the user's are not for these.
        .env_remove("JAVA_TOOL_OPTIONS")
        .env_remove("_JAVA_OPTIONS");
    command
}

/// A configuration of Log4j 2 that writes everything to the standard output, and so to the process's log.
pub(crate) const LOG4J2: &str = "\
status = warn
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c{1.}: %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
";

fn program() -> PathBuf {
    std::env::var_os("JAVA_HOME").map_or_else(|| "java".into(), |home| PathBuf::from(home).join("bin/java"))
}

/// The version of the Java that is here: 17 of `17.0.15`.
fn version() -> Option<u32> {
    static VERSION: OnceLock<Option<u32>> = OnceLock::new();
    *VERSION.get_or_init(|| {
        let said = Command::new(program()).arg("-version").output().ok()?;
        feature_version(&String::from_utf8_lossy(&said.stderr))
    })
}

/// The first number of `openjdk version "17.0.15" 2025-04-15`. Java 8 and older say `1.8` and count as 1.
fn feature_version(said: &str) -> Option<u32> {
    let (_, version) = said.split_once("version \"")?;
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_in_what_java_says() {
        let said = "Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime";
        assert_eq!(feature_version(said), Some(17));
        assert_eq!(feature_version("java version \"1.8.0_402\""), Some(1));
        assert_eq!(feature_version("openjdk version \"25-ea\""), Some(25));
        assert_eq!(feature_version("no such command"), None);
    }
}
