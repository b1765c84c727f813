//! `lakehead simulate`: an EventStreams upstream, for tests and demos.
