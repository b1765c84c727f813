//! No code: one place that asks all features which any selection of packages would ask of the crates they share.
//!
//! Cargo unites features over the packages that are built together. So the program alone, one crate's tests and the
//! whole workspace would each build their own DataFusion, at a quarter of an hour each. The `query` crate, which brings
//! DataFusion, depends on this one; whatever is selected, the features are then the same. The gate checks it.
