//! `elasticsearch`: one node of Elasticsearch itself, by `ElasticsearchNode.java` beside this file, which Java starts from its
//! source.
//!
//! The server and the module that speaks HTTP are published as jars; the other modules are not, so `GET /`, scripts, reindexing
//! and analyzers by language are not there. Single documents, `_bulk` and searches are.

use std::{fs, os::unix::fs::symlink, path::Path};

use anyhow::{Context, Result};

use super::{
    documents,
    instance::Instance,
    java,
    maven::{self, Coordinates},
    service::{Launch, Service},
};

const SERVER: Coordinates = &["org.elasticsearch:elasticsearch:8.19.0"];

/// The module is loaded from a folder of its own, so its jars must not be on the class path.
const HTTP: Coordinates = &["org.elasticsearch.plugin:transport-netty4:8.19.0"];

/// As in the module's jar, without the name of a Java module: the server is on the class path and has none either.
const HTTP_DESCRIPTOR: &str = "\
description=Netty 4 based transport implementation
name=transport-netty4
version=8.19.0
elasticsearch.version=8.19.0
java.version=17
classname=org.elasticsearch.transport.netty4.Netty4Plugin
";

const NODE: &str = include_str!("ElasticsearchNode.java");

pub(crate) struct Elasticsearch;

impl Service for Elasticsearch {
    fn name(&self) -> &'static str {
        "elasticsearch"
    }

    fn lacks(&self) -> Option<String> {
        // A newer Java wants native libraries, which are not published.
        java::lacks(17..=17).or_else(java::lacks_compiler)
    }

    fn ports(&self) -> &'static [&'static str] {
        &["http", "transport"]
    }

    fn download(&self) -> Result<()> {
        maven::class_path("elasticsearch", SERVER)?;
        maven::class_path("elasticsearch-http", HTTP).map(drop)
    }

    fn prepare(&self, instance: &Instance) -> Result<()> {
        instance.write("ElasticsearchNode.java", NODE)?;
        instance.write("conf/log4j2.properties", java::LOG4J2)?;
        let settings = documents::settings(instance.port("transport"));
        instance.write("conf/elasticsearch.yml", &format!("{settings}http.port: {}\n", instance.port("http")))?;
        let module = "node/modules/transport-netty4";
        instance.write(&format!("{module}/plugin-descriptor.properties"), HTTP_DESCRIPTOR)?;
        let server = maven::class_path("elasticsearch", SERVER)?;
        for jar in maven::class_path("elasticsearch-http", HTTP)?.split(':') {
            let name = Path::new(jar).file_name().context("a jar has a name")?;
            if !server.split(':').any(|jar| Path::new(jar).file_name() == Some(name)) {
                let link = instance.folder().join(module).join(name);
                symlink(fs::canonicalize(jar)?, &link).with_context(|| format!("making {}", link.display()))?;
            }
        }
        Ok(())
    }

    fn launches(&self, instance: &Instance) -> Result<Vec<Launch>> {
        let mut command = java::command(instance, &maven::class_path("elasticsearch", SERVER)?);
        command.args([instance.path("ElasticsearchNode.java"), instance.path("node"), instance.path("conf")]);
        let ready = |instance: &Instance| documents::ready(&instance.address("http"));
        Ok(vec![Launch { name: "node", command, user: None, stop_signal: "TERM", ready }])
    }

    fn addresses(&self, instance: &Instance) -> Vec<(&'static str, String)> {
        vec![("ELASTICSEARCH_URL", format!("http://{}", instance.address("http")))]
    }

    fn smoke(&self, instance: &Instance) -> Result<()> {
        documents::round_trip(&instance.address("http"))
    }
}
