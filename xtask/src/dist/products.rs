//! What lies in the folder of the products, and sizes as a person says them.

use std::{fs, path::Path};

use anyhow::{Context, Result};

/// What was made, by name, with its size in bytes.
pub(super) fn products(dist: &Path) -> Result<Vec<(String, u64)>> {
    let mut products = Vec::new();
    for entry in fs::read_dir(dist).with_context(|| format!("listing {}", dist.display()))? {
        let entry = entry?;
        products.push((entry.file_name().to_string_lossy().into_owned(), entry.metadata()?.len()));
    }
    products.sort();
    Ok(products)
}

/// `39072884` as `37.3 MiB`.
pub(super) fn human(bytes: u64) -> String {
    let (kib, mib) = (1 << 10, 1 << 20);
    match bytes {
        0..1_024 => format!("{bytes} B"),
        _ if bytes < mib => format!("{:.1} KiB", bytes as f64 / kib as f64),
        _ => format!("{:.1} MiB", bytes as f64 / mib as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_a_person_says_them() {
        assert_eq!([7, 2_048, 39_072_884].map(human), ["7 B", "2.0 KiB", "37.3 MiB"]);
    }
}
