//! The table of mapped modules and their unwind tables.
//!
//! Invariants: modules do not overlap; `generation` differs after every change, and a pc belongs to the same
//! module and the same unwind information as long as it does not. Not here: evaluating CFI (`cfi`).

use crate::cfi::{self, Evaluator, SearchTable};
use alloc::{sync::Arc, vec::Vec};
use core::{error, fmt, ops::Range};

/// Bytes of a section as they lie in the guest's memory.
///
/// The bytes must stay mapped and unchanged until [`Modules::remove`] (and the end of walks that run at that
/// time).
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// Address in the guest of the first byte.
    pub avma: u64,
    /// The bytes.
    pub bytes: &'static [u8],
}

impl Section {
    /// The part from `avma` on; `None` when that lies outside.
    pub fn tail(&self, avma: u64) -> Option<Section> {
        let offset = usize::try_from(avma.checked_sub(self.avma)?).ok()?;
        Some(Section { avma, bytes: self.bytes.get(offset..)? })
    }
}

/// A module as it is told to [`Modules::add`].
#[derive(Debug, Clone)]
pub struct Module {
    /// Its id, not 0; never used for another module of this process image.
    pub id: u32,
    /// Its address range, all segments.
    pub avma: Range<u64>,
    /// avma less svma.
    pub bias: u64,
    /// `.eh_frame_hdr`, which PT_GNU_EH_FRAME locates.
    pub eh_frame_hdr: Option<Section>,
    /// `.eh_frame`; bytes behind its end do no harm.
    pub eh_frame: Option<Section>,
}

impl Module {
    /// A module whose `.eh_frame` is found through its `.eh_frame_hdr`. `segment` is the readable segment (or
    /// the whole image) that holds `.eh_frame`.
    pub fn with_segment(id: u32, avma: Range<u64>, bias: u64, hdr: Section, segment: Section) -> Module {
        let eh_frame = cfi::eh_frame_avma(&hdr).and_then(|avma| segment.tail(avma));
        Module { id, avma, bias, eh_frame_hdr: Some(hdr), eh_frame }
    }
}

/// What a look-up tells about a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleInfo {
    /// Its id.
    pub id: u32,
    /// Its address range.
    pub avma: Range<u64>,
    /// avma less svma.
    pub bias: u64,
}

/// Why a module cannot be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddError {
    /// The id is 0 or in use.
    Id(u32),
    /// The range is empty or lies in kernel space.
    Range,
    /// The range overlaps this module, which must be removed before.
    Overlap(u32),
    /// More than 65534 modules.
    Full,
}

impl fmt::Display for AddError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AddError::Id(id) => write!(f, "module id {id} is 0 or in use"),
            AddError::Range => write!(f, "the module's address range is empty or not in user space"),
            AddError::Overlap(id) => write!(f, "the module overlaps module {id}, which was not removed"),
            AddError::Full => write!(f, "too many modules"),
        }
    }
}

impl error::Error for AddError {}

/// A module in the table.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) info: ModuleInfo,
    pub(crate) eh_frame: Option<Section>,
    pub(crate) table: SearchTable,
}

/// The mapped modules. Plain data: the engine guards it. A clone shares the tables and has the same
/// generation.
#[derive(Debug, Clone, Default)]
pub struct Modules {
    generation: u64,
    /// Modules at a slot that they keep while they are mapped.
    slots: Vec<Option<Arc<Loaded>>>,
    /// `(start, end, slot)`, sorted.
    ranges: Vec<(u64, u64, u16)>,
}

/// End of user space: 47-bit addresses, so that bit 63 of a pc is free for a flag.
pub(crate) const USER_END: u64 = 1 << 47;

impl Modules {
    /// An empty table.
    pub fn new() -> Modules {
        Modules::default()
    }

    /// Rises with every change.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Adds a module. Without a usable search table in `.eh_frame_hdr`, all of `.eh_frame` is read here.
    pub fn add(&mut self, module: Module) -> Result<(), AddError> {
        let Module { id, avma, bias, eh_frame_hdr, eh_frame } = module;
        if id == 0 || self.slots.iter().flatten().any(|loaded| loaded.info.id == id) {
            return Err(AddError::Id(id));
        }
        if avma.is_empty() || avma.end > USER_END {
            return Err(AddError::Range);
        }
        let at = self.ranges.partition_point(|&(_, end, _)| end <= avma.start);
        if let Some(&(start, _, slot)) = self.ranges.get(at)
            && start < avma.end
        {
            return Err(AddError::Overlap(self.slot(slot).map_or(0, |loaded| loaded.info.id)));
        }
        let free = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        let slot = u16::try_from(free).ok().filter(|&slot| slot < u16::MAX).ok_or(AddError::Full)?;
        let table = SearchTable::new(eh_frame_hdr, eh_frame.as_ref());
        self.ranges.insert(at, (avma.start, avma.end, slot));
        if free == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[free] = Some(Arc::new(Loaded { info: ModuleInfo { id, avma, bias }, eh_frame, table }));
        self.generation += 1;
        Ok(())
    }

    /// Removes a module before it is unmapped; false when there is none with this id.
    pub fn remove(&mut self, id: u32) -> bool {
        let held = |loaded: &Option<Arc<Loaded>>| loaded.as_ref().is_some_and(|loaded| loaded.info.id == id);
        let Some(slot) = self.slots.iter().position(held) else { return false };
        self.slots[slot] = None;
        self.ranges.retain(|&(_, _, other)| usize::from(other) != slot);
        self.generation += 1;
        true
    }

    /// The module that holds this address.
    pub fn lookup(&self, avma: u64) -> Option<&ModuleInfo> {
        let slot = self.find(avma)?;
        self.slot(slot).map(|loaded| &loaded.info)
    }

    /// The modules in address order.
    pub fn iter(&self) -> impl Iterator<Item = &ModuleInfo> {
        self.ranges.iter().filter_map(|&(_, _, slot)| self.slot(slot)).map(|loaded| &loaded.info)
    }

    /// Whether unwind information begins at an address: a function does, or a part of one that lies elsewhere.
    pub fn is_function_start(&self, avma: u64) -> bool {
        let loaded = self.find(avma).and_then(|slot| self.slots.get(usize::from(slot))?.as_ref());
        loaded.is_some_and(|loaded| loaded.table.begins(avma))
    }

    /// Whether a function that was called begins at an address, and not a part of one, or what a thread begins with: its frame is the
    /// return address alone.
    pub fn is_entry(&self, avma: u64) -> bool {
        let loaded = self.find(avma).and_then(|slot| self.slot(slot));
        loaded.is_some_and(|loaded| {
            loaded.table.begins(avma) && Evaluator::new().is_return_address(loaded, avma)
        })
    }

    /// First address of the function that holds an address, or of the part of one that lies elsewhere, where unwind information
    /// tells it.
    pub fn function(&self, avma: u64) -> Option<u64> {
        cfi::function(self.find(avma).and_then(|slot| self.slot(slot))?, avma)
    }

    /// The slot of the module that holds this address.
    pub(crate) fn find(&self, avma: u64) -> Option<u16> {
        let at = self.ranges.partition_point(|&(_, end, _)| end <= avma);
        self.ranges.get(at).filter(|&&(start, _, _)| start <= avma).map(|&(_, _, slot)| slot)
    }

    /// The module at a slot.
    pub(crate) fn slot(&self, slot: u16) -> Option<&Loaded> {
        self.slots.get(usize::from(slot))?.as_deref()
    }
}
