//! Builds the engine's image (`engine/image`) and hands it to `launch`, which embeds it.
//!
//! A nested cargo run with a target directory of its own: the image is a freestanding executable whose dependencies
//! must not share features or flags with the tools (see ARCHITECTURE.md). Always the release profile, because the
//! guest runs on it.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// Packages that end up in the image.
const PACKAGES: [&str; 10] = [
    "engine",
    "engine/image",
    "translate",
    "models",
    "simulation",
    "ring",
    "unwind",
    "heap",
    "definedness",
    "syscall-params",
];

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
    let written = std::fs::read(&image).and_then(|bytes| {
        let loaded = loaded_part(&bytes).ok_or(std::io::ErrorKind::InvalidData)?;
        std::fs::write(out.join("engine-image"), loaded)
    });
    if let Err(error) = written {
        panic!("cannot copy {}: {error}", image.display());
    }
}

/// What the kernel maps of a 64-bit ELF executable, without section table, symbols and debug information. Each
/// recording writes it into memory; for a debugger the whole file stays where cargo has put it.
fn loaded_part(elf: &[u8]) -> Option<Vec<u8>> {
    let word = |at: usize| Some(u64::from_le_bytes(*elf.get(at..)?.first_chunk()?) as usize);
    let half = |at: usize| Some(usize::from(u16::from_le_bytes(*elf.get(at..)?.first_chunk()?)));
    let (table, size, count) = (word(32)?, half(54)?, half(56)?);
    let mut end = table + size * count;
    for header in (0..count).map(|i| table + size * i) {
        // The offset in the file and the bytes there.
        end = end.max(word(header + 8)? + word(header + 32)?);
    }
    let mut part = elf.get(..end)?.to_vec();
    // Place, number and names of the sections.
    part[40..48].fill(0);
    part[60..64].fill(0);
    Some(part)
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name} for build scripts"))
}
