//! `kafka`: Apache Kafka, one node that is broker and controller (KRaft).
//!
//! Topics come into being when somebody names them, with one partition and one replica. Transactions may take an hour, which is
//! what Flink's sink asks for. `KAFKA_URL` is what clients call `bootstrap.servers`.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use super::{
    instance::Instance,
    java,
    maven::{self, Coordinates},
    service::{Launch, Service},
    tool,
};

/// The logging binding makes Kafka say something at all.
const JARS: Coordinates = &[
    "org.apache.kafka:kafka_2.13:4.2.0",
    "org.apache.kafka:kafka-tools:4.2.0",
    "org.apache.logging.log4j:log4j-slf4j-impl:2.25.3",
];

/// Sixteen bytes in the base 64 of URLs: `lakehead-tests-1`.
const CLUSTER: &str = "bGFrZWhlYWQtdGVzdHMtMQ";

/// A tool is a Java process of its own, and takes 3 s.
const TOOL_WITHIN: Duration = Duration::from_secs(60);

pub(crate) struct Kafka;

impl Service for Kafka {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn lacks(&self) -> Option<String> {
        java::lacks(17..=25)
    }

    fn ports(&self) -> &'static [&'static str] {
        &["broker", "controller"]
    }

    fn download(&self) -> Result<()> {
        maven::class_path(self.name(), JARS).map(drop)
    }

    fn prepare(&self, instance: &Instance) -> Result<()> {
        instance.write("log4j2.properties", java::LOG4J2)?;
        // What a client says is shown only when it fails.
        instance.write("client-log4j2.properties", &java::LOG4J2.replace("info", "warn"))?;
        instance.write("server.properties", &properties(instance))?;
        let mut format = run("kafka.tools.StorageTool", "client-log4j2.properties", instance)?;
        format.args(["format", "--standalone", "-t", CLUSTER, "-c"]).arg(instance.path("server.properties"));
        tool::output(&format, TOOL_WITHIN).map(drop)
    }

    fn launches(&self, instance: &Instance) -> Result<Vec<Launch>> {
        let mut command = run("kafka.Kafka", "log4j2.properties", instance)?;
        command.arg(instance.path("server.properties"));
        Ok(vec![Launch { name: "broker", command, user: None, stop_signal: "TERM", ready }])
    }

    fn addresses(&self, instance: &Instance) -> Vec<(&'static str, String)> {
        vec![("KAFKA_URL", instance.address("broker"))]
    }

    fn smoke(&self, instance: &Instance) -> Result<()> {
        let client = |class, words: &[&str]| -> Result<Command> {
            let mut command = run(class, "client-log4j2.properties", instance)?;
            command.args(["--bootstrap-server", &instance.address("broker"), "--topic", "smoke"]).args(words);
            Ok(command)
        };
        let producer = client("org.apache.kafka.tools.ConsoleProducer", &[])?;
        tool::output_of(&producer, "hello\n", TOOL_WITHIN).context("producing")?;
        let words = ["--from-beginning", "--max-messages", "1", "--timeout-ms", "30000"];
        let consumer = client("org.apache.kafka.tools.consumer.ConsoleConsumer", &words)?;
        let consumed = tool::output(&consumer, TOOL_WITHIN).context("consuming")?;
        match consumed.lines().any(|line| line == "hello") {
            true => Ok(()),
            false => bail!("`hello` was produced, and this was consumed: {consumed:?}"),
        }
    }
}

fn run(class: &str, logging: &str, instance: &Instance) -> Result<Command> {
    let mut command = java::command(instance, &maven::class_path("kafka", JARS)?);
    command.arg(format!("-Dlog4j2.configurationFile={}", instance.path(logging))).arg(class);
    Ok(command)
}

fn properties(instance: &Instance) -> String {
    let (broker, controller, data) =
        (instance.address("broker"), instance.address("controller"), instance.path("data"));
    format!(
        "\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers={controller}
listeners=PLAINTEXT://{broker},CONTROLLER://{controller}
advertised.listeners=PLAINTEXT://{broker},CONTROLLER://{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={data}
num.partitions=1
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
transaction.max.timeout.ms=3600000
"
    )
}

/// Asks which versions of the protocol the broker speaks, which every client asks first.
fn ready(instance: &Instance) -> Result<()> {
    /// ApiVersions (key 18, version 0), correlation 1, no client id: <https://kafka.apache.org/protocol>.
    const API_VERSIONS: &[u8] = &[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
    let mut socket = TcpStream::connect(instance.address("broker")).context("connecting")?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    socket.write_all(API_VERSIONS)?;
    // Size, correlation, error.
    let mut answer = [0; 10];
    socket.read_exact(&mut answer).context("no answer to ApiVersions")?;
    match answer[4..] {
        [0, 0, 0, 1, 0, 0] => Ok(()),
        _ => bail!("its answer to ApiVersions begins with {answer:?}"),
    }
}
