//! Which settings of librdkafka a pipeline may set: what concerns the connection and the member. What exact resume stands on
//! (where to begin, what is committed, what is kept in memory) is set by the source, and what runs a program or weakens TLS by
//! nobody.

use std::collections::BTreeMap;

use lakehead_model::hint::instead;

/// The keys, as in <https://github.com/confluentinc/librdkafka/blob/v2.12.1/CONFIGURATION.md>.
pub(super) const CLIENT_KEYS: &[&str] = &[
    "broker.address.family",
    "check.crcs",
    "client.dns.lookup",
    "client.id",
    "client.rack",
    "fetch.message.max.bytes",
    "fetch.min.bytes",
    "fetch.wait.max.ms",
    "group.instance.id",
    "heartbeat.interval.ms",
    "max.poll.interval.ms",
    "partition.assignment.strategy",
    "receive.message.max.bytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "sasl.mechanism",
    "sasl.password",
    "sasl.username",
    "security.protocol",
    "session.timeout.ms",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.timeout.ms",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.cipher.suites",
    "ssl.crl.location",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.location",
    "ssl.keystore.password",
];

/// Checks what `client` has.
pub(super) fn check(client: &BTreeMap<String, String>) -> Result<(), String> {
    for key in client.keys() {
        if !CLIENT_KEYS.contains(&key.as_str()) {
            return Err(format!("client: {key:?} may not be set; {}", instead(key, CLIENT_KEYS.iter().copied())));
        }
    }
    let is = |key: &str, value: &str| client.get(key).is_some_and(|found| found.eq_ignore_ascii_case(value));
    let wants_tls = is("security.protocol", "ssl") || is("security.protocol", "sasl_ssl");
    // Without OpenSSL librdkafka has SASL PLAIN alone; the hashes of SCRAM are OpenSSL's.
    let wants_hashes = is("sasl.mechanism", "SCRAM-SHA-256") || is("sasl.mechanism", "SCRAM-SHA-512");
    if (wants_tls || wants_hashes) && !cfg!(feature = "kafka-tls") {
        return Err(
            "client: this build has no TLS and no SCRAM for Kafka: build with `--features kafka-tls`".to_owned()
        );
    }
    Ok(())
}
