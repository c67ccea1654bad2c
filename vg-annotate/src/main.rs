//! Placeholder of `vg-annotate`: the tool does not exist yet and says so.

fn main() {
    eprintln!("vg-annotate: not available yet in this version; vg-record and vg-leaks are");
    std::process::exit(2);
}
