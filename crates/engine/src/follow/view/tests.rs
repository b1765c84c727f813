//! A follower of a view whose changes are written by hand.
