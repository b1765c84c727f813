//! Views of a real stream: live ones, and builds beside them.
