//! Where the debug information of a stripped file lies.
//!
//! By build id under `/usr/lib/debug/.build-id`, then by `.gnu_debuglink` beside the file, in its `.debug`
//! directory and under `/usr/lib/debug`, as gdb looks. Always holds: a file is taken only when its build id or its
//! checksum says that it belongs to the binary.

use object::Object;
use object::read::elf::ElfFile64;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where distributions put separate debug files.
const ROOT: &str = "/usr/lib/debug";

/// Files that may hold the debug information of the binary at `path`, each with the check that it must pass.
pub(super) fn candidates(path: &Path, elf: &ElfFile64<'_>, root: Option<&Path>) -> Vec<(PathBuf, Check)> {
    let root = root.unwrap_or(Path::new(ROOT));
    let mut list = Vec::new();
    if let Ok(Some(id)) = elf.build_id() {
        list.push((by_build_id(root, id), Check::BuildId(id.to_vec())));
    }
    if let Ok(Some((name, checksum))) = elf.gnu_debuglink() {
        let name = OsStr::from_bytes(name);
        let directory = path.parent().unwrap_or(Path::new("/"));
        let under_root = root.join(directory.strip_prefix("/").unwrap_or(directory));
        for place in [directory.to_owned(), directory.join(".debug"), under_root] {
            let candidate = place.join(name);
            if candidate != path {
                list.push((candidate, Check::Checksum(checksum)));
            }
        }
    }
    list
}

/// The supplementary file (made by dwz) that the debug file at `path` shares with others.
pub(super) fn supplementary(path: &Path, elf: &ElfFile64<'_>) -> Option<(PathBuf, Check)> {
    let (name, id) = elf.gnu_debugaltlink().ok()??;
    let place = path.parent()?.join(OsStr::from_bytes(name));
    let check = Check::BuildId(id.to_vec());
    if place.exists() { Some((place, check)) } else { Some((by_build_id(Path::new(ROOT), id), check)) }
}

fn by_build_id(root: &Path, id: &[u8]) -> PathBuf {
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let (first, rest) = hex.split_at(hex.len().min(2));
    root.join(".build-id").join(first).join(format!("{rest}.debug"))
}

/// What a debug file must satisfy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Check {
    /// It has this build id.
    BuildId(Vec<u8>),
    /// Its bytes have this CRC-32.
    Checksum(u32),
}

impl Check {
    /// Whether a file with these bytes belongs to the binary.
    pub(super) fn holds(&self, bytes: &[u8], elf: &ElfFile64<'_>) -> bool {
        match self {
            Check::BuildId(id) => elf.build_id().ok().flatten() == Some(id),
            Check::Checksum(checksum) => crc32fast::hash(bytes) == *checksum,
        }
    }
}

/// Opens a candidate.
pub(super) fn open(path: &Path) -> Option<File> {
    File::open(path).ok().filter(|file| file.metadata().is_ok_and(|metadata| metadata.is_file()))
}
