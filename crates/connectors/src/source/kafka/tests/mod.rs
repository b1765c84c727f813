//! What the source promises. `mock` runs over librdkafka's own imitation of a broker, which is in the client library: it has topics,
//! offsets and groups, and neither transactions nor compaction nor retention. `kafka`, `groups` and `recreated` run over Apache
//! Kafka, at the address in `KAFKA_URL`, as `cargo xtask services up kafka` prints it; where there is none they are skipped, and
//! say so.

mod groups;
mod kafka;
mod mock;
mod recreated;
mod world;
