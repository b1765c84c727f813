//! `cassandra`: Apache Cassandra, one node. `CASSANDRA_URL` is a contact point: address and port of the native protocol.

use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{
    cql::Cql,
    instance::Instance,
    java,
    maven::{self, Coordinates},
    service::{Launch, Service},
};

const JARS: Coordinates = &["org.apache.cassandra:cassandra-all:5.0.5"];

/// What Cassandra's own `jvm17-server.options` opens to its code.
const EXPORTS: &[&str] = &[
    "java.base/java.lang.ref",
    "java.base/jdk.internal.misc",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.sql/java.sql",
    "jdk.unsupported/sun.misc",
];
const OPENS: &[&str] = &[
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.lang.module",
    "java.base/java.lang.reflect",
    "java.base/java.math",
    "java.base/java.net",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.util.jar",
    "java.base/sun.nio.ch",
    "jdk.management/com.sun.management.internal",
];

/// Nothing to wait for: there is no other node that could tell something.
const ALONE: &[&str] = &["-Dcassandra.ring_delay_ms=0", "-Dcassandra.skip_wait_for_gossip_to_settle=0"];

const LOGBACK: &str = r#"<configuration>
  <appender name="console" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%date %level %logger{0}: %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="console"/></root>
</configuration>
"#;

pub(crate) struct Cassandra;

impl Service for Cassandra {
    fn name(&self) -> &'static str {
        "cassandra"
    }

    fn lacks(&self) -> Option<String> {
        // 11 would do with other words than those above, a newer one not at all.
        java::lacks(17..=17)
    }

    fn ports(&self) -> &'static [&'static str] {
        &["native", "storage"]
    }

    fn download(&self) -> Result<()> {
        maven::class_path(self.name(), JARS).map(drop)
    }

    fn prepare(&self, instance: &Instance) -> Result<()> {
        instance.write("logback.xml", LOGBACK)?;
        instance.write("cassandra.yaml", &settings(instance))
    }

    fn launches(&self, instance: &Instance) -> Result<Vec<Launch>> {
        let command = command(instance, &maven::class_path(self.name(), JARS)?)?;
        Ok(vec![Launch { name: "node", command, user: None, stop_signal: "TERM", ready }])
    }

    fn addresses(&self, instance: &Instance) -> Vec<(&'static str, String)> {
        vec![("CASSANDRA_URL", instance.address("native"))]
    }

    fn smoke(&self, instance: &Instance) -> Result<()> {
        let mut cql = Cql::connect(&instance.address("native"))?;
        cql.query("CREATE KEYSPACE smoke WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")?;
        cql.query("CREATE TABLE smoke.words (id int PRIMARY KEY, word text)")?;
        cql.query("INSERT INTO smoke.words (id, word) VALUES (1, 'hello')")?;
        let rows = cql.query("SELECT word FROM smoke.words WHERE id = 1")?;
        match rows.as_slice() {
            [row] if *row == [Some("hello".to_owned())] => Ok(()),
            _ => bail!("`hello` was inserted, and this was selected: {rows:?}"),
        }
    }
}

fn ready(instance: &Instance) -> Result<()> {
    let rows = Cql::connect(&instance.address("native"))?.query("SELECT release_version FROM system.local")?;
    rows.first().map(drop).context("it does not know itself yet")
}

fn command(instance: &Instance, class_path: &str) -> Result<Command> {
    let agent = class_path.split(':').find(|jar| jar.contains("/jamm-"));
    let agent = agent.context("its jars have no jamm, which measures objects for it")?;
    let mut command = java::command(instance, class_path);
    command.arg(format!("-javaagent:{agent}")).arg("-Djdk.attach.allowAttachSelf=true");
    command.args(EXPORTS.iter().flat_map(|package| ["--add-exports".to_owned(), format!("{package}=ALL-UNNAMED")]));
    command.args(OPENS.iter().flat_map(|package| ["--add-opens".to_owned(), format!("{package}=ALL-UNNAMED")]));
    command
        .arg(format!("-Dcassandra.config=file://{}", instance.path("cassandra.yaml")))
        .arg(format!("-Dcassandra.storagedir={}", instance.folder().display()))
        .arg(format!("-Dlogback.configurationFile={}", instance.path("logback.xml")))
        .args(ALONE)
        .args(["-Dcassandra-foreground=yes", "org.apache.cassandra.service.CassandraDaemon"]);
    Ok(command)
}

fn settings(instance: &Instance) -> String {
    let (storage, native) = (instance.port("storage"), instance.port("native"));
    let (data, commits, caches) = (instance.path("data"), instance.path("commitlog"), instance.path("caches"));
    let (hints, cdc) = (instance.path("hints"), instance.path("cdc"));
    format!(
        "\
cluster_name: lakehead
num_tokens: 1
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters:
      - seeds: \"127.0.0.1:{storage}\"
listen_address: 127.0.0.1
storage_port: {storage}
rpc_address: 127.0.0.1
native_transport_port: {native}
start_native_transport: true
data_file_directories: [\"{data}\"]
commitlog_directory: \"{commits}\"
saved_caches_directory: \"{caches}\"
hints_directory: \"{hints}\"
cdc_raw_directory: \"{cdc}\"
commitlog_sync: periodic
commitlog_sync_period: 1000ms
commitlog_segment_size: 4MiB
auto_snapshot: false
file_cache_size: 32MiB
networking_cache_size: 16MiB
"
    )
}
