//! `hdfs`: Apache Hadoop's file system, a NameNode and one DataNode, without permissions.
//!
//! `HDFS_URL` is what clients call `fs.defaultFS`, `HDFS_WEB_URL` where WebHDFS answers.

use std::{process::Command, time::Duration};

use anyhow::{Context, Result, bail};

use super::{
    instance::Instance,
    java,
    maven::{self, Coordinates},
    service::{Launch, Service},
    tool,
};
use crate::http::{self, Answer};

/// The test jar has the web applications, which the NameNode does not start without. Jackson is pinned to what the web
/// applications were built with.
const JARS: Coordinates = &[
    "org.apache.hadoop:hadoop-common:3.4.1",
    "org.apache.hadoop:hadoop-hdfs:3.4.1",
    "org.apache.hadoop:hadoop-hdfs-client:3.4.1",
    "org.apache.hadoop:hadoop-hdfs:3.4.1:test-jar",
    "com.fasterxml.jackson.core:jackson-core:2.12.7",
];

const NAME_NODE: &str = "org.apache.hadoop.hdfs.server.namenode.NameNode";
const DATA_NODE: &str = "org.apache.hadoop.hdfs.server.datanode.DataNode";

/// Formatting takes 3 s.
const FORMAT_WITHIN: Duration = Duration::from_secs(120);

const LOG4J: &str = "\
log4j.rootLogger=INFO,console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d %p %c{1}: %m%n
";

pub(crate) struct Hdfs;

impl Service for Hdfs {
    fn name(&self) -> &'static str {
        "hdfs"
    }

    fn lacks(&self) -> Option<String> {
        java::lacks(11..=21)
    }

    fn ports(&self) -> &'static [&'static str] {
        &["rpc", "web", "data", "data-web", "data-rpc"]
    }

    fn download(&self) -> Result<()> {
        maven::class_path(self.name(), JARS).map(drop)
    }

    fn prepare(&self, instance: &Instance) -> Result<()> {
        instance.write("conf/log4j.properties", LOG4J)?;
        let default = format!("hdfs://{}", instance.address("rpc"));
        instance.write(
            "conf/core-site.xml",
            &site(&[("fs.defaultFS", default), ("hadoop.tmp.dir", instance.path("tmp"))]),
        )?;
        instance.write("conf/hdfs-site.xml", &site(&settings(instance)))?;
        let mut format = run(NAME_NODE, instance)?;
        tool::output(format.args(["-format", "-force", "-nonInteractive"]), FORMAT_WITHIN).map(drop)
    }

    fn launches(&self, instance: &Instance) -> Result<Vec<Launch>> {
        let launch = |name, class, ready| -> Result<Launch> {
            Ok(Launch { name, command: run(class, instance)?, user: None, stop_signal: "TERM", ready })
        };
        Ok(vec![launch("namenode", NAME_NODE, name_node_ready)?, launch("datanode", DATA_NODE, data_node_ready)?])
    }

    fn addresses(&self, instance: &Instance) -> Vec<(&'static str, String)> {
        vec![
            ("HDFS_URL", format!("hdfs://{}", instance.address("rpc"))),
            ("HDFS_WEB_URL", format!("http://{}", instance.address("web"))),
        ]
    }

    fn smoke(&self, instance: &Instance) -> Result<()> {
        let name_node = instance.address("web");
        let created = follow(&name_node, "PUT", "/webhdfs/v1/smoke/words.txt?op=CREATE", b"hello")?;
        if created.status != 201 {
            bail!("creating a file was answered by {} {}", created.status, created.body);
        }
        let read = follow(&name_node, "GET", "/webhdfs/v1/smoke/words.txt?op=OPEN", b"")?;
        match (read.status, read.body.as_str()) {
            (200, "hello") => Ok(()),
            (status, body) => bail!("`hello` was written, and reading was answered by {status} {body:?}"),
        }
    }
}

/// Asks the NameNode where to go, and goes there with the content (WebHDFS, "Create and Write to a File").
fn follow(name_node: &str, method: &str, path: &str, content: &[u8]) -> Result<Answer> {
    let redirect = http::request(name_node, method, path, &[], b"")?;
    let location = redirect.header("Location").filter(|_| redirect.status == 307);
    let location = location.with_context(|| format!("the NameNode answers {} {}", redirect.status, redirect.body))?;
    let address = location.strip_prefix("http://").and_then(|rest| rest.split_once('/'));
    let (data_node, path) = address.with_context(|| format!("the NameNode sends us to {location}"))?;
    http::request(data_node, method, &format!("/{path}"), &[], content)
}

fn run(class: &str, instance: &Instance) -> Result<Command> {
    let class_path = format!("{}:{}", instance.path("conf"), maven::class_path("hdfs", JARS)?);
    let mut command = java::command(instance, &class_path);
    command.args(["--add-opens", "java.base/java.lang=ALL-UNNAMED", class]);
    Ok(command)
}

fn settings(instance: &Instance) -> Vec<(&'static str, String)> {
    vec![
        ("dfs.replication", "1".to_owned()),
        ("dfs.permissions.enabled", "false".to_owned()),
        ("dfs.namenode.rpc-address", instance.address("rpc")),
        ("dfs.namenode.http-address", instance.address("web")),
        ("dfs.namenode.name.dir", format!("file://{}", instance.path("name"))),
        // Else 30 s, in which nothing can be written after a start with data.
        ("dfs.namenode.safemode.extension", "0".to_owned()),
        // Loopback has no name to look up for everybody.
        ("dfs.namenode.datanode.registration.ip-hostname-check", "false".to_owned()),
        ("dfs.datanode.hostname", "127.0.0.1".to_owned()),
        ("dfs.datanode.data.dir", format!("file://{}", instance.path("data"))),
        ("dfs.datanode.address", instance.address("data")),
        ("dfs.datanode.http.address", instance.address("data-web")),
        ("dfs.datanode.ipc.address", instance.address("data-rpc")),
    ]
}

fn site(settings: &[(&str, String)]) -> String {
    let property =
        |(name, value): &(&str, String)| format!("  <property><name>{name}</name><value>{value}</value></property>\n");
    format!("<configuration>\n{}</configuration>\n", settings.iter().map(property).collect::<String>())
}

fn name_node_ready(instance: &Instance) -> Result<()> {
    state(instance).map(drop)
}

/// The NameNode sees the DataNode and takes writes.
fn data_node_ready(instance: &Instance) -> Result<()> {
    let state = state(instance)?;
    match state.contains("\"NumLiveDataNodes\" : 1,") && state.contains("\"FSState\" : \"Operational\"") {
        true => Ok(()),
        false => bail!("the NameNode says {state}"),
    }
}

fn state(instance: &Instance) -> Result<String> {
    let path = "/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState";
    let answer = http::get(&instance.address("web"), path)?;
    match answer.status {
        200 => Ok(answer.body),
        status => bail!("{path} is answered by {status}"),
    }
}
