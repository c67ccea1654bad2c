//! Makes the inputs of the workloads: text, C source, and the guest programs of `bench/programs`.
//!
//! Always holds: the same bytes on every machine and in every run. Not here: what reads them (`workload`).

use anyhow::{Context as _, ensure};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Sources of the guest programs and scripts, by file name.
const SOURCES: [(&str, &str); 9] = [
    ("tree.c", include_str!("../programs/tree.c")),
    ("pairs.c", include_str!("../programs/pairs.c")),
    ("threads.c", include_str!("../programs/threads.c")),
    ("list.c", include_str!("../programs/list.c")),
    ("micro.c", include_str!("../programs/micro.c")),
    ("work.lua", include_str!("../programs/work.lua")),
    ("work.py", include_str!("../programs/work.py")),
    ("work.pl", include_str!("../programs/work.pl")),
    ("work.sql", include_str!("../programs/work.sql")),
];

/// Names of the folders, in front of the number of the process.
const PREFIX: &str = "vg-bench-";
/// Bytes of the text that is compressed.
const TEXT_BYTES: usize = 12 << 20;
/// Bytes of the shorter one.
const SHORT_BYTES: usize = 3 << 20;
/// Functions in the C source that is compiled.
const FUNCTIONS: usize = 70;

/// A folder with all inputs; removed with everything in it when dropped.
#[derive(Debug)]
pub(crate) struct Inputs {
    folder: PathBuf,
}

impl Inputs {
    /// Writes the inputs and compiles the programs.
    ///
    /// # Errors
    /// The folder cannot be written, or there is no C compiler `cc` that can build the programs.
    pub(crate) fn make() -> anyhow::Result<Inputs> {
        remove_abandoned();
        let folder = std::env::temp_dir().join(format!("{PREFIX}{}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let inputs = Inputs { folder };
        let text = text(TEXT_BYTES);
        inputs.write("text", &text)?;
        inputs.write("short", &text[..SHORT_BYTES])?;
        inputs.write("compiled.c", c_source(FUNCTIONS).as_bytes())?;
        for (name, source) in SOURCES {
            inputs.write(name, source.as_bytes())?;
            if let Some(stem) = name.strip_suffix(".c") {
                inputs.compile(name, stem)?;
            }
        }
        Ok(inputs)
    }

    /// The path of an input, a compiled program or a file to be written.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.path(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
    }

    fn compile(&self, source: &str, program: &str) -> anyhow::Result<()> {
        let mut command = Command::new("cc");
        command.args(["-O2", "-g", "-pthread", "-o"]).arg(self.path(program)).arg(self.path(source));
        let output = command.output().context("cannot start the C compiler cc")?;
        ensure!(output.status.success(), "cc {source} failed: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}

impl Drop for Inputs {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("cannot remove {}: {error}", self.folder.display());
        }
    }
}

/// Removes folders of runs that were interrupted: those whose process is gone.
fn remove_abandoned() {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            // Somebody else's folder stays: it is not ours to complain about.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Numbers that look random (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound
    }
}

/// Lines of words, some far more frequent than others, with numbers between them: compresses like prose.
fn text(bytes: usize) -> Vec<u8> {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let letters = b"etaoinshrdlucmfwypvbgkjqxz";
    let words: Vec<Vec<u8>> = (0..8000)
        .map(|i| {
            // The frequent words, which come first, are short.
            let length = 2 + random.below(3 + i / 1000);
            let letter = |random: &mut Random| letters[(random.below(26) * random.below(26) / 26) as usize];
            (0..length).map(|_| letter(&mut random)).collect()
        })
        .collect();
    let mut out = Vec::with_capacity(bytes + 64);
    let mut column = 0;
    while out.len() < bytes {
        let start = out.len();
        if random.below(40) == 0 {
            // Writing to a Vec cannot fail.
            let _ = std::io::Write::write_fmt(&mut out, format_args!("{}", random.below(100_000)));
        } else {
            // The product of three makes small numbers, the frequent words, likely.
            let size = words.len() as u64;
            let pick = random.below(size) * random.below(size) / size * random.below(size) / size;
            out.extend_from_slice(&words[pick as usize]);
        }
        if random.below(12) == 0 {
            out.push(b",.;"[random.below(3) as usize]);
        }
        column += out.len() - start;
        let end = column > 70;
        out.push(if end { b'\n' } else { b' ' });
        if end {
            column = 0;
        }
    }
    out.truncate(bytes);
    out
}

/// C without any include: loops, branches, switches, structures and calls, each function a little different.
fn c_source(functions: usize) -> String {
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    let mut out = String::from(
        "struct item { struct item *next; int key; unsigned flags; double weight; char name[24]; };\n\
         extern void report(const char *text, long value);\n\n",
    );
    for i in 0..functions {
        let mut number = |bound: u64| random.below(bound) + 1;
        let (a, b, c, d) = (number(97), number(31), number(13), number(255));
        let (shift, mask, times) = (number(7), number(15), number(9) + 3);
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "static int table{i}[{size}];\n\
             long work{i}(struct item *list, const int *values, int count, unsigned mode) {{\n\
             \x20   long sum = {a}; double total = 0; unsigned hash = {d}u;\n\
             \x20   for (struct item *at = list; at; at = at->next) {{\n\
             \x20       switch ((at->flags ^ mode) & 7) {{\n\
             \x20       case 0: sum += at->key * {b}; break;\n\
             \x20       case 1: sum ^= at->key >> {shift}; total += at->weight; break;\n\
             \x20       case 2: at->flags |= {d}; /* fall through */\n\
             \x20       case 3: if (at->key > {a}) sum -= at->key % {c}; else total *= 1.5; break;\n\
             \x20       case {case}: report(at->name, sum); break;\n\
             \x20       default: hash = hash * 31 + (unsigned)at->name[{name}];\n\
             \x20       }}\n\
             \x20   }}\n\
             \x20   for (int i = 0; i < count; i++) {{\n\
             \x20       int value = values[i] + table{i}[(i * {b}) % {size}];\n\
             \x20       table{i}[i % {size}] = value ^ (int)hash;\n\
             \x20       for (int k = 0; k < {times}; k++) sum += (value >> k) & {mask} ? value * k : -k;\n\
             \x20       if (value & 1) total += value / (double)(i + {c});\n\
             \x20       else if (sum > {d}000 && total < 1e9) sum /= {c} + 1;\n\
             \x20   }}\n",
            size = 64 + a,
            case = 4 + i % 3,
            name = b % 24,
        );
        if i > 2 {
            let _ = writeln!(
                out,
                "    if (mode & {d}) sum += work{}(list, values, count / 2, mode >> 1) - work{}(0, values, {c}, hash);",
                i - 1,
                random.below(i as u64 - 1)
            );
        }
        out.push_str("    report(\"done\", sum + (long)total);\n    return sum;\n}\n\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_the_same_every_time_and_looks_like_lines() {
        let one = text(20_000);
        assert_eq!(one.len(), 20_000);
        assert_eq!(one, text(20_000));
        let lines: Vec<&[u8]> = one.split(|&byte| byte == b'\n').collect();
        assert!(lines.len() > 200 && lines.iter().all(|line| line.len() < 120), "{} lines", lines.len());
    }

    #[test]
    fn inputs_are_made_and_removed() {
        let inputs = Inputs::make().expect("makes the inputs");
        let folder = inputs.folder().to_owned();
        let output = Command::new(inputs.path("micro")).args(["fib", "20"]).output().expect("runs");
        assert_eq!(output.stdout, b"6765\n");
        let mut cc = Command::new("cc");
        cc.args(["-O0", "-c", "-o", "/dev/null"]).arg(inputs.path("compiled.c"));
        assert!(cc.status().expect("starts").success());
        drop(inputs);
        assert!(!folder.exists());
    }
}
