//! The modules of the recording and the files behind them.
//!
//! Every mapping of a file gets a module id of its own. Frames name the first module of the same file instead, so
//! that equal stacks of several processes are one. Always holds: a file is told apart by device, inode, size and
//! change time as they were when it was mapped, so a program that is built again while recording is another file;
//! and its descriptor is kept, so a deleted file can still be read. Not here: reading symbols (`symbols`).

use object::read::elf::ElfFile64;
use object::{Endianness, Object, ReadCache};
use schema::Bytes;
use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most files that are kept open at a time; the rest are opened again by their path.
const MOST_OPEN: usize = 256;

/// What tells two files of one path apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Identity {
    /// From a file's metadata.
    pub(crate) fn of(metadata: &Metadata) -> Identity {
        Identity {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            changed: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// A file that some process mapped as code.
#[derive(Debug)]
pub(crate) struct Binary {
    /// Its path when it was mapped.
    pub path: PathBuf,
    /// The first module of it: what frames name.
    pub module: u32,
    /// `None` when it could not be examined.
    pub identity: Option<Identity>,
    /// GNU build id; empty when there is none.
    pub build_id: Vec<u8>,
    file: Option<File>,
}

impl Binary {
    /// The file, as it was when it was mapped; `None` when it is gone or was changed in place.
    pub(crate) fn open(&self) -> Option<File> {
        let identity = self.identity?;
        let file = match &self.file {
            Some(file) => file.try_clone().ok()?,
            None => File::open(&self.path).ok()?,
        };
        (Identity::of(&file.metadata().ok()?) == identity).then_some(file)
    }

    /// Not a file at all: "[vdso]" and the like.
    pub(crate) fn is_synthetic(&self) -> bool {
        !self.path.is_absolute()
    }
}

/// A module as it goes into the trace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mapping {
    /// Number of the process.
    pub process: u32,
    /// Lowest address.
    pub start: u64,
    /// Bytes spanned.
    pub size: u64,
    /// Address in memory less the address in the file.
    pub bias: u64,
    /// Nanoseconds since the start of the recording.
    pub time: u64,
    /// As the engine gave them.
    pub flags: u32,
}

/// All modules and files.
#[derive(Debug, Default)]
pub(crate) struct Modules {
    last: u32,
    binaries: Vec<Arc<Binary>>,
    known: HashMap<(PathBuf, Option<Identity>), usize>,
    open: usize,
}

impl Modules {
    /// Adds a mapping of the file at `path`. Returns the module for the trace and the module that frames name.
    pub(crate) fn add(&mut self, path: Vec<u8>, mapping: Mapping) -> (schema::Module, u32) {
        self.last += 1;
        let id = self.last;
        let path = Bytes(path);
        let identity = std::fs::metadata(path.as_path()).ok().filter(Metadata::is_file);
        let identity = identity.map(|metadata| Identity::of(&metadata));
        let key = (path.as_path().to_owned(), identity);
        let at = match self.known.get(&key) {
            Some(&at) => at,
            None => {
                let binary = self.examine(key.0.clone(), identity, id);
                self.binaries.push(Arc::new(binary));
                self.known.insert(key, self.binaries.len() - 1);
                self.binaries.len() - 1
            }
        };
        let binary = &self.binaries[at];
        let module = schema::Module {
            id,
            process: mapping.process,
            path,
            build_id: binary.build_id.clone(),
            start: mapping.start,
            size: mapping.size,
            bias: mapping.bias,
            time: mapping.time,
            flags: mapping.flags,
        };
        (module, binary.module)
    }

    fn examine(&mut self, path: PathBuf, identity: Option<Identity>, module: u32) -> Binary {
        let file = identity.and_then(|_| File::open(&path).ok());
        let build_id = file.as_ref().and_then(build_id).unwrap_or_default();
        let file = file.filter(|_| self.open < MOST_OPEN);
        self.open += usize::from(file.is_some());
        Binary { path, module, identity, build_id, file }
    }

    /// The files, in the order in which they were first mapped.
    pub(crate) fn binaries(&self) -> &[Arc<Binary>] {
        &self.binaries
    }

    /// The file that frames name by this module.
    pub(crate) fn binary(&self, module: u32) -> Option<Arc<Binary>> {
        // Modules of files are given in rising order.
        let at = self.binaries.binary_search_by_key(&module, |binary| binary.module).ok()?;
        Some(self.binaries[at].clone())
    }

    /// Number of modules so far.
    pub(crate) fn count(&self) -> u32 {
        self.last
    }
}

/// The GNU build id of an ELF file.
fn build_id(file: &File) -> Option<Vec<u8>> {
    let cache = ReadCache::new(file);
    let elf = ElfFile64::<Endianness, _>::parse(&cache).ok()?;
    Some(elf.build_id().ok()??.to_vec())
}

/// A file of the system's packages: its user can do nothing about its debug information.
pub(crate) fn is_system(path: &Path) -> bool {
    let system = ["/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin"];
    system.iter().any(|directory| path.starts_with(directory)) && !path.starts_with("/usr/local")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPPING: Mapping = Mapping { process: 1, start: 0x1000, size: 0x1000, bias: 0, time: 0, flags: 0 };

    #[test]
    fn one_file_has_one_module_for_frames() {
        let directory = crate::testing::directory("modules");
        let path = directory.join("program");
        std::fs::copy("/proc/self/exe", &path).expect("copies");
        let bytes = || Bytes::from(path.as_path()).0;
        let mut modules = Modules::default();
        let (first, frames) = modules.add(bytes(), MAPPING);
        assert_eq!((first.id, frames), (1, 1));
        let (second, frames) = modules.add(bytes(), Mapping { process: 2, ..MAPPING });
        assert_eq!((second.id, second.process, frames), (2, 2, 1));
        assert_eq!(first.build_id, second.build_id);

        // Another program under the same name; the old one can still be read.
        std::fs::remove_file(&path).expect("removes");
        std::fs::write(&path, "not a program").expect("writes");
        let (third, frames) = modules.add(bytes(), MAPPING);
        assert_eq!((third.id, frames, third.build_id.len()), (3, 3, 0));
        assert!(modules.binaries()[0].open().is_some());
        std::fs::write(&path, "changed in place").expect("writes");
        assert!(modules.binaries()[1].open().is_none());
        assert_eq!(modules.count(), 3);
    }

    #[test]
    fn what_is_no_file_is_known_too() {
        let mut modules = Modules::default();
        let (vdso, _) = modules.add(b"[vdso]".to_vec(), MAPPING);
        assert_eq!(vdso.path.0, b"[vdso]");
        assert!(modules.binaries()[0].is_synthetic() && modules.binaries()[0].open().is_none());
        assert!(is_system(Path::new("/usr/bin/python3")) && !is_system(Path::new("/usr/local/bin/mine")));
    }
}
