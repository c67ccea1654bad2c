//! Builds the engine's image (`engine/image`) and hands it to `launch`, which embeds it.
//!
//! A nested cargo run with a target directory of its own: the image is a freestanding executable whose dependencies
//! must not share features or flags with the tools (see ARCHITECTURE.md). Always the release profile, because the
//! guest runs on it.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// Packages that end up in the image.
const PACKAGES: [&str; 6] = ["engine", "engine/image", "translate", "ring", "unwind", "heap"];

/// What the image runs on, named so that no configuration of the user builds it for something else.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Settings of the outer cargo run that must not reach the inner one: flags, wrappers and places that belong to
/// another target, and the jobserver's and package's variables.
const NOT_INHERITED: [&str; 12] = [
    "CARGO_ENCODED_RUSTFLAGS",
    "RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_BUILD_TARGET",
    "CARGO_MANIFEST_DIR",
    "CLIPPY_ARGS",
];

fn main() {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("..");
    let out = PathBuf::from(variable("OUT_DIR"));
    for package in PACKAGES {
        for part in ["src", "Cargo.toml", "build.rs"] {
            let path = root.join(package).join(part);
            // Cargo would run this script every time for a path that does not exist.
            if path.exists() {
                println!("cargo:rerun-if-changed={}", path.display());
            }
        }
    }
    println!("cargo:rerun-if-changed=build.rs");

    let package = root.join("engine/image");
    let target = out.join("engine-target");
    let mut cargo = Command::new(variable("CARGO"));
    cargo.args(["build", "--release", "--quiet", "--target", TARGET, "--target-dir"]).arg(&target);
    cargo.current_dir(&package);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        // Profile settings of the tools (CARGO_PROFILE_RELEASE_...) are not the image's either.
        if NOT_INHERITED.contains(&&*text)
            || text.starts_with("CARGO_PROFILE_")
            || text.starts_with("CARGO_FEATURE_")
        {
            cargo.env_remove(&name);
        }
    }
    // Set and empty: also flags from the user's configuration (`target-cpu=native`) must not reach the image, whose
    // code may use no vector registers beyond SSE2.
    cargo.env("CARGO_ENCODED_RUSTFLAGS", "");
    let status =
        cargo.status().unwrap_or_else(|error| panic!("cannot run cargo for {}: {error}", package.display()));
    assert!(status.success(), "building the engine image in {} failed", package.display());

    let image = target.join(TARGET).join("release/engine-image");
    if let Err(error) = std::fs::copy(&image, out.join("engine-image")) {
        panic!("cannot copy {}: {error}", image.display());
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name} for build scripts"))
}
