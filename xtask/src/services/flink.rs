//! `flink`: Apache Flink, a JobManager, a TaskManager of four slots and an SQL gateway.
//!
//! `FLINK_URL` is the JobManager's REST, `FLINK_SQL_URL` the gateway's. Kafka's connector and the formats JSON and CSV are there.

use std::{
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{
    instance::Instance,
    java,
    maven::{self, Coordinates},
    service::{Launch, Service},
};
use crate::http;

const JARS: Coordinates = &[
    "org.apache.flink:flink-runtime:2.3.0",
    "org.apache.flink:flink-streaming-java:2.3.0",
    "org.apache.flink:flink-clients:2.3.0",
    "org.apache.flink:flink-runtime-web:2.3.0",
    "org.apache.flink:flink-metrics-core:2.3.0",
    "org.apache.flink:flink-statebackend-rocksdb:2.3.0",
    "org.apache.flink:flink-connector-files:2.3.0",
    "org.apache.flink:flink-connector-datagen:2.3.0",
    "org.apache.flink:flink-json:2.3.0",
    "org.apache.flink:flink-csv:2.3.0",
    "org.apache.flink:flink-cep:2.3.0",
    "org.apache.flink:flink-table-api-java-uber:2.3.0",
    "org.apache.flink:flink-table-planner-loader:2.3.0",
    "org.apache.flink:flink-table-runtime:2.3.0",
    "org.apache.flink:flink-sql-gateway:2.3.0",
    "org.apache.flink:flink-sql-client:2.3.0",
    "org.apache.flink:flink-sql-connector-kafka:5.0.0-2.2",
    "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3",
];

const JOB_MANAGER: &str = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint";
const TASK_MANAGER: &str = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner";
const GATEWAY: &str = "org.apache.flink.table.gateway.SqlGateway";

/// What Flink's own default configuration opens to its code (`env.java.opts.all`).
const EXPORTS: &[&str] = &["java.base/sun.net.util", "java.rmi/sun.rmi.registry"];
const OPENS: &[&str] = &[
    "java.io",
    "java.lang",
    "java.lang.reflect",
    "java.net",
    "java.nio",
    "java.text",
    "java.time",
    "java.util",
    "java.util.concurrent",
    "java.util.concurrent.atomic",
    "java.util.concurrent.locks",
    "sun.nio.ch",
];

/// Longest wait for the result of a statement; the first takes 5 s.
const RESULT_WITHIN: Duration = Duration::from_secs(90);

const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(crate) struct Flink;

impl Service for Flink {
    fn name(&self) -> &'static str {
        "flink"
    }

    fn lacks(&self) -> Option<String> {
        java::lacks(17..=21)
    }

    fn ports(&self) -> &'static [&'static str] {
        &["rest", "sql", "rpc", "blob", "task-rpc", "task-data"]
    }

    fn download(&self) -> Result<()> {
        maven::class_path(self.name(), JARS).map(drop)
    }

    fn prepare(&self, instance: &Instance) -> Result<()> {
        instance.write("conf/log4j2.properties", java::LOG4J2)?;
        instance.write("conf/config.yaml", &settings(instance))
    }

    fn launches(&self, instance: &Instance) -> Result<Vec<Launch>> {
        let launch = |name, class, words: &[&str], ready| -> Result<Launch> {
            let mut command = run(class, instance)?;
            command.args(words);
            Ok(Launch { name, command, user: None, stop_signal: "TERM", ready })
        };
        let conf = instance.path("conf");
        let cluster = ["--configDir", &conf, "--executionMode", "cluster"];
        Ok(vec![
            launch("jobmanager", JOB_MANAGER, &cluster, job_manager_ready)?,
            launch("taskmanager", TASK_MANAGER, &["--configDir", &conf], task_manager_ready)?,
            launch("sql-gateway", GATEWAY, &[], gateway_ready)?,
        ])
    }

    fn addresses(&self, instance: &Instance) -> Vec<(&'static str, String)> {
        vec![
            ("FLINK_URL", format!("http://{}", instance.address("rest"))),
            ("FLINK_SQL_URL", format!("http://{}", instance.address("sql"))),
        ]
    }

    fn smoke(&self, instance: &Instance) -> Result<()> {
        let gateway = instance.address("sql");
        let session = ask(&gateway, "POST", "/v1/sessions", &json!({}))?;
        let session = format!("/v1/sessions/{}", session["sessionHandle"].as_str().context("no session")?);
        let statement = json!({
            "statement": "SELECT sum(x) AS total FROM (VALUES (1), (2), (39)) AS t(x)",
            "executionConfig": { "execution.runtime-mode": "batch" },
        });
        let operation = ask(&gateway, "POST", &format!("{session}/statements"), &statement)?;
        let operation = operation["operationHandle"].as_str().context("no operation")?;
        let rows = rows(&gateway, &format!("{session}/operations/{operation}"))?;
        ask(&gateway, "DELETE", &session, &Value::Null)?;
        match rows.as_slice() {
            [row] if row["fields"] == json!([42]) => Ok(()),
            _ => bail!("1 + 2 + 39 is {rows:?}"),
        }
    }
}

/// All rows of an operation, page after page.
fn rows(gateway: &str, operation: &str) -> Result<Vec<Value>> {
    let begun = Instant::now();
    let mut rows = Vec::new();
    let mut next = format!("{operation}/result/0?rowFormat=JSON");
    while begun.elapsed() < RESULT_WITHIN {
        let page = ask(gateway, "GET", &next, &Value::Null)?;
        match page["resultType"].as_str() {
            Some("EOS") => return Ok(rows),
            Some("NOT_READY") => sleep(LOOK_EVERY),
            _ => rows.extend(page["results"]["data"].as_array().context("a page without data")?.iter().cloned()),
        }
        // A page that is not ready names itself as the next one.
        if let Some(uri) = page["nextResultUri"].as_str() {
            uri.clone_into(&mut next);
        }
    }
    bail!("the statement had no result after {RESULT_WITHIN:?}")
}

fn ask(address: &str, method: &str, path: &str, body: &Value) -> Result<Value> {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let answer = http::request(address, method, path, &[("Content-Type", "application/json")], &body)?;
    if answer.status != 200 {
        bail!("{method} {path} was answered by {} {}", answer.status, answer.body);
    }
    serde_json::from_str(&answer.body).with_context(|| format!("{method} {path} was answered by {:?}", answer.body))
}

fn run(class: &str, instance: &Instance) -> Result<Command> {
    let mut command = java::command(instance, &maven::class_path("flink", JARS)?);
    command.args(EXPORTS.iter().flat_map(|package| ["--add-exports".to_owned(), format!("{package}=ALL-UNNAMED")]));
    command.args(OPENS.iter().flat_map(|name| ["--add-opens".to_owned(), format!("java.base/{name}=ALL-UNNAMED")]));
    command.arg(format!("-Dlog4j2.configurationFile={}", instance.path("conf/log4j2.properties"))).arg(class);
    // The gateway takes its configuration from the environment alone.
    command.env("FLINK_CONF_DIR", instance.path("conf"));
    Ok(command)
}

/// The sizes add up to what Flink's scripts would work out; without a script each has to be named, minimum and maximum alike.
fn settings(instance: &Instance) -> String {
    let port = |name| instance.port(name);
    format!(
        "\
jobmanager.rpc.address: 127.0.0.1
jobmanager.bind-host: 127.0.0.1
jobmanager.rpc.port: {rpc}
blob.server.port: {blob}
rest.address: 127.0.0.1
rest.bind-address: 127.0.0.1
rest.port: {rest}
taskmanager.host: 127.0.0.1
taskmanager.bind-host: 127.0.0.1
taskmanager.rpc.port: \"{task_rpc}\"
taskmanager.data.port: {task_data}
taskmanager.numberOfTaskSlots: 4
taskmanager.cpu.cores: 2.0
taskmanager.memory.framework.heap.size: 128m
taskmanager.memory.task.heap.size: 384m
taskmanager.memory.framework.off-heap.size: 64m
taskmanager.memory.task.off-heap.size: 16m
taskmanager.memory.network.min: 64m
taskmanager.memory.network.max: 64m
taskmanager.memory.managed.size: 128m
taskmanager.memory.jvm-metaspace.size: 256m
taskmanager.memory.jvm-overhead.min: 192m
taskmanager.memory.jvm-overhead.max: 192m
cluster.registration.error-delay: 500 ms
io.tmp.dirs: {tmp}
sql-gateway.endpoint.rest.address: 127.0.0.1
sql-gateway.endpoint.rest.bind-address: 127.0.0.1
sql-gateway.endpoint.rest.port: {sql}
",
        rpc = port("rpc"),
        blob = port("blob"),
        rest = port("rest"),
        task_rpc = port("task-rpc"),
        task_data = port("task-data"),
        sql = port("sql"),
        tmp = instance.path("tmp"),
    )
}

fn job_manager_ready(instance: &Instance) -> Result<()> {
    ask(&instance.address("rest"), "GET", "/overview", &Value::Null).map(drop)
}

fn task_manager_ready(instance: &Instance) -> Result<()> {
    let overview = ask(&instance.address("rest"), "GET", "/overview", &Value::Null)?;
    match overview["slots-available"].as_u64() {
        Some(1..) => Ok(()),
        _ => bail!("the JobManager says {overview}"),
    }
}

fn gateway_ready(instance: &Instance) -> Result<()> {
    ask(&instance.address("sql"), "GET", "/v1/info", &Value::Null).map(drop)
}
