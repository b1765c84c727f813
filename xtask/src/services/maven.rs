//! Jars that Maven resolves from coordinates. They stay in Maven's own repository; the cache keeps the class path.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result};

use super::{instance::cache, tool};

/// Longest wait for a resolution: hundreds of megabytes over a slow line.
const RESOLVED_WITHIN: Duration = Duration::from_secs(1200);

/// Maven's plug-in and the goal that writes a class path, by full name, so that no newer one changes what it does.
const GOAL: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath";

/// The jars of a server: `group:artifact:version`, or `group:artifact:version:type` for another type than `jar`.
pub(crate) type Coordinates = &'static [&'static str];

/// The class path of these jars and of what they need. Resolved once for each list of coordinates, and again when a jar is
/// no longer there.
pub(crate) fn class_path(name: &str, coordinates: Coordinates) -> Result<String> {
    let folder = cache().join(name);
    let (stamp, file) = (folder.join("pom.xml"), folder.join("classpath.txt"));
    let pom = pom(name, coordinates);
    if fs::read_to_string(&stamp).is_ok_and(|known| known == pom)
        && let Ok(known) = fs::read_to_string(&file)
        && known.split(':').all(|jar| Path::new(jar).is_file())
    {
        return Ok(known);
    }
    eprintln!("services: Maven resolves the jars of {name}");
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&stamp, pom))
        .with_context(|| format!("writing {}", stamp.display()))?;
    let mut maven = Command::new("mvn");
    maven.current_dir(&folder).args(["--batch-mode", "--no-transfer-progress", GOAL, "-DincludeScope=runtime"]);
    maven.arg(format!("-Dmdep.outputFile={}", file.display()));
    tool::output(&maven, RESOLVED_WITHIN).context("resolving its jars")?;
    fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))
}

/// A project that is nothing but its dependencies.
fn pom(name: &str, coordinates: Coordinates) -> String {
    let dependencies: String = coordinates.iter().map(|one| dependency(one)).collect();
    format!(
        "<project>\n  <modelVersion>4.0.0</modelVersion>\n  <groupId>lakehead</groupId>\n  \
         <artifactId>service-{name}</artifactId>\n  <version>1</version>\n  <packaging>pom</packaging>\n  \
         <dependencies>\n{dependencies}  </dependencies>\n</project>\n"
    )
}

fn dependency(coordinates: &str) -> String {
    let fields = ["groupId", "artifactId", "version", "type"].iter().zip(coordinates.split(':'));
    let fields: String = fields.map(|(field, value)| format!("<{field}>{value}</{field}>")).collect();
    format!("    <dependency>{fields}</dependency>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_become_a_dependency() {
        let short = "<groupId>g</groupId><artifactId>a</artifactId><version>1</version>";
        assert_eq!(dependency("g:a:1").trim(), format!("<dependency>{short}</dependency>"));
        assert_eq!(
            dependency("g:a:1:test-jar").trim(),
            format!("<dependency>{short}<type>test-jar</type></dependency>")
        );
        assert!(pom("kafka", &["g:a:1"]).contains("<artifactId>service-kafka</artifactId>"));
    }
}
