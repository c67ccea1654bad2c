//! Generates the Rust code of the trace schema from the compiled request `trace.cgr`, so that building needs no
//! `capnp` program. `regenerate.sh` makes the request anew after a change of `trace.capnp`.

use std::{env, error::Error, fs::File, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=trace.cgr");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo did not set OUT_DIR")?);
    let request = File::open("trace.cgr")
        .map_err(|error| format!("schema/trace.cgr: {error}; run schema/regenerate.sh to make it"))?;
    capnpc::codegen::CodeGenerationCommand::new()
        .output_directory(out)
        .default_parent_module(vec!["raw".to_owned()])
        .run(request)?;
    Ok(())
}
