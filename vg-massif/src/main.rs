//! Placeholder of `vg-massif`: the tool does not exist yet and says so.

fn main() {
    eprintln!("vg-massif: not available yet in this version; vg-record and vg-leaks are");
    std::process::exit(2);
}
