//! Sinks of a running engine, whose targets do what a script says.
