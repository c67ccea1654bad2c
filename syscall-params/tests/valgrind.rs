//! The table against Valgrind: the same calls with the same undefined and unaddressable bytes, complaints compared.
//!
//! What always holds: each call is made under `valgrind` by `valgrind/program.c`, where a filter keeps it from
//! being done; what Valgrind says of it must be what the table's checks find on the same bytes. Each difference
//! is explained, one by one, in `valgrind/differences.rs`. Without valgrind of that version, or without gcc, the
//! test says so and passes.

#[path = "valgrind/cases.rs"]
mod cases;
#[path = "valgrind/differences.rs"]
mod differences;
#[path = "valgrind/model.rs"]
mod model;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use model::Case;

/// Complaints about one case.
type Complaints = BTreeSet<String>;

/// What Valgrind said of a case.
enum Said {
    Complaints(Complaints),
    /// It does not know the call.
    Unknown,
}

#[test]
fn complaints_are_those_of_valgrind() {
    let Some(version) = installed() else {
        eprintln!("skipped: valgrind or gcc is not installed");
        return;
    };
    if !version.starts_with(differences::VERSION) {
        eprintln!(
            "skipped: {version} is installed; the explained differences are those of {}",
            differences::VERSION
        );
        return;
    }
    let cases = cases::all();
    let calls: BTreeSet<u64> = cases.iter().map(|case| case.number).collect();
    assert!(calls.len() > 300, "only {} calls are tried", calls.len());
    let folder = env::temp_dir().join(format!("syscall-params-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let said = valgrind(&folder, &cases);
    fs::remove_dir_all(&folder).unwrap();

    let mut problems = String::new();
    let (mut compared, mut unknown, mut complaints) = (0, 0, 0);
    let mut known = BTreeSet::new();
    let mut used = BTreeSet::new();
    for (index, case) in cases.iter().enumerate() {
        let Some(theirs) = said.get(&index) else {
            writeln!(problems, "{case}: was not made").unwrap();
            continue;
        };
        let Said::Complaints(theirs) = theirs else {
            unknown += 1;
            continue;
        };
        compared += 1;
        known.insert(case.number);
        let ours = model::complaints(case);
        complaints += theirs.intersection(&ours).count();
        let both = theirs
            .difference(&ours)
            .map(|line| ('-', line))
            .chain(ours.difference(theirs).map(|line| ('+', line)));
        for (sign, line) in both {
            match differences::explained(case, sign, line) {
                Some(difference) => {
                    used.insert(difference);
                }
                None => writeln!(problems, "{sign} {line}    [{case}]").unwrap(),
            }
        }
    }
    for index in 0..differences::ALL.len() {
        if !used.contains(&index) {
            writeln!(problems, "explained, but not found: {:?}", differences::ALL[index]).unwrap();
        }
    }
    println!(
        "{version}: {compared} cases of {} calls agree in {complaints} complaints but for {} explained \
         differences; {unknown} cases are of {} calls that Valgrind does not know",
        known.len(),
        differences::ALL.len(),
        calls.len() - known.len()
    );
    assert!(problems.is_empty(), "- only Valgrind, + only the table:\n{problems}");
}

fn installed() -> Option<String> {
    let output = Command::new("valgrind").arg("--version").output().ok()?;
    Command::new("gcc").arg("--version").output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Makes all cases, half of them in each of two processes at a time.
fn valgrind(folder: &Path, cases: &[Case]) -> BTreeMap<usize, Said> {
    let program = folder.join("program");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/valgrind/program.c");
    let status = Command::new("gcc").args(["-O1", "-g", "-o"]).arg(&program).arg(source).status().unwrap();
    assert!(status.success(), "gcc cannot compile the program");
    let runs: Vec<_> = (0..2).map(|half| run(folder, &program, cases, half)).collect();
    let mut said = BTreeMap::new();
    for (mut child, log) in runs {
        let status = child.wait().unwrap();
        let text = fs::read_to_string(&log).unwrap();
        assert!(status.success() && text.contains(" END"), "valgrind failed ({status}):\n{text}");
        parse(&text, &mut said);
    }
    said
}

/// Cases in one process, where no complaint may come twice: each call only once.
const GROUP_MAX: usize = 40;

/// Cases by group, as indices.
fn groups(cases: &[Case]) -> Vec<Vec<usize>> {
    let mut groups: Vec<(BTreeSet<u64>, Vec<usize>)> = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        let family = cases::family(case);
        let open = groups.iter_mut().find(|(families, members)| {
            members.len() < GROUP_MAX && !families.contains(&family) && !families.contains(&cases::ALONE)
        });
        match open {
            Some((families, members)) if family != cases::ALONE => {
                families.insert(family);
                members.push(index);
            }
            _ => groups.push((BTreeSet::from([family]), vec![index])),
        }
    }
    groups.into_iter().map(|(_, members)| members).collect()
}

fn run(folder: &Path, program: &Path, cases: &[Case], half: usize) -> (std::process::Child, PathBuf) {
    let list = folder.join(format!("list{half}"));
    let log = folder.join(format!("log{half}"));
    let text: String = groups(cases)
        .into_iter()
        .skip(half)
        .step_by(2)
        .map(|group| group.into_iter().map(|index| cases[index].listed(index)).collect::<String>() + "end\n")
        .collect();
    fs::write(&list, text).unwrap();
    let child = Command::new("valgrind")
        .args([
            "--tool=memcheck",
            "--leak-check=no",
            "--undef-value-errors=yes",
            "--error-limit=no",
            "--vgdb=no",
        ])
        .args(["--num-callers=1", "--track-origins=no", "--run-libc-freeres=no"])
        .args(["--default-suppressions=no"])
        .arg(format!("--log-file={}", log.display()))
        .arg(program)
        .arg(&list)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    (child, log)
}

/// `**17** CASE 4` begins a case, `==17== Syscall param write(buf) points to ...` is a complaint about it.
fn parse(text: &str, said: &mut BTreeMap<usize, Said>) {
    let mut current = None;
    for line in text.lines() {
        if let Some((_, number)) = line.split_once("** CASE ") {
            let index = number.trim().parse().unwrap();
            said.insert(index, Said::Complaints(Complaints::new()));
            current = Some(index);
        } else if let Some((_, complaint)) = line.split_once("== Syscall param ") {
            let index = current.expect("a complaint outside the cases");
            if let Some(Said::Complaints(complaints)) = said.get_mut(&index) {
                complaints.insert(complaint.trim().to_owned());
            }
        } else if line.contains("unhandled amd64-linux syscall") {
            said.insert(current.unwrap(), Said::Unknown);
        }
    }
}
