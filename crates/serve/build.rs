//! Builds anew when a file of the page comes or goes; changes within one are seen without this.

fn main() {
    println!("cargo::rerun-if-changed=assets");
}
