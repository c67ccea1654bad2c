//! Errors in calls of the guest's malloc family: what is freed that is no block, or as another kind of block than it is;
//! sizes and alignments that no program should ask for. The rules are those of Valgrind's memcheck, its newest ones.
//!
//! Always holds: only what is wrong gets here, so that a sound call pays for a few comparisons. What runs out of memory
//! within an operator new that has failed before is no further error. Not here: what is done all the same (`heap_calls`).

use crate::allocators::Function;
use crate::context::gpr;
use crate::errors::{self, About, Told};
use crate::heap_calls::{HeapCall, MALLOC_ALIGN};
use crate::{guest_mem, space, symbols};
use heap::{Block, Freed};
use ring::record::{Error, Family};

/// What a function that frees says of the block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim {
    /// The family that it frees for.
    pub(crate) family: Family,
    /// The block's size, or [`NOT_SAID`].
    pub(crate) size: u64,
    /// The alignment asked for: 0 for one that was allocated without, or [`NOT_SAID`].
    pub(crate) align: u64,
}

/// No size, or no alignment. No block has it.
pub(crate) const NOT_SAID: u64 = u64::MAX;

impl Claim {
    /// Whether a block that was freed is what the function took it for.
    #[inline(always)]
    pub(crate) fn fits(&self, freed: &Freed) -> bool {
        freed.family == self.family && self.fits_size(freed) && self.fits_align(freed)
    }

    #[inline(always)]
    fn fits_size(&self, freed: &Freed) -> bool {
        self.size == NOT_SAID || self.size == freed.size
    }

    /// Whether the alignment is that of the block. Small ones are as good as none in Rust.
    #[inline(always)]
    fn fits_align(&self, freed: &Freed) -> bool {
        self.align == NOT_SAID || self.align.max(1) == freed.align
    }
}

impl HeapCall<'_> {
    /// No live block starts at an address that was to be freed.
    #[cold]
    pub(crate) fn invalid_free(&mut self, address: u64, stack: u32) {
        if self.is_dynamic_linkers(address) {
            return;
        }
        let about = About::anything(self.engine, self.thread, self.pc, address);
        self.tell(stack, &Told { address, ..Told::new(Error::InvalidFree, about) });
    }

    /// Whether what is to be freed is of the small heap that the dynamic linker has before libc is there: behind its data,
    /// or a page of its own, which only the linker itself frees.
    fn is_dynamic_linkers(&self, address: u64) -> bool {
        if self.heap().contains(address) {
            return false;
        }
        let caller = guest_mem::read_u64(self.thread.context.regs[gpr::RSP]).unwrap_or(0);
        let modules = self.engine.modules.lock();
        modules.iter().filter(|module| module.mapped && symbols::is_dynamic_linker(module)).any(|linker| {
            let pages = linker.start..linker.end.next_multiple_of(space::PAGE);
            pages.contains(&address) || pages.contains(&caller)
        })
    }

    /// A block was freed that is not what the function says.
    #[cold]
    pub(crate) fn misfit(&mut self, address: u64, stack: u32, claim: &Claim, freed: &Freed) {
        let block = |error| Told { address, ..Told::new(error, About::freed_now(address, freed)) };
        if !claim.fits_size(freed) {
            let (wanted, given) = (freed.size, claim.size);
            self.tell(
                stack,
                &Told { wanted, given, text: names(claim.family).as_bytes(), ..block(Error::SizeMismatch) },
            );
        }
        let small = self.is_rusts() && claim.align == 0 && freed.align <= SMALL_ALIGN;
        if !claim.fits_align(freed) && !small {
            if !claim.align.is_power_of_two() && claim.align != 0 {
                self.bad_alignment(stack, claim.align);
            }
            let wanted = if freed.align == 1 { 0 } else { freed.align };
            let (given, text) = (claim.align, names(claim.family));
            self.tell(stack, &Told { wanted, given, text: text.as_bytes(), ..block(Error::AlignMismatch) });
        }
        // Linked-in allocators have one function for operators new of both families.
        if freed.family != claim.family && !self.called.foreign {
            let (wanted, given) = (freed.family as u64, claim.family as u64);
            self.tell(stack, &Told { wanted, given, ..block(Error::MismatchedFree) });
        }
    }

    fn is_rusts(&self) -> bool {
        matches!(self.called.function, Function::RustDealloc | Function::RustRealloc)
    }

    /// realloc with the layout that the block has.
    pub(crate) fn rust_realloc(&mut self, old: u64, size: u64, align: u64, new_size: u64) -> u64 {
        let claim = Claim { family: Family::Malloc, size, align: rust_align(align) };
        if let Some(block) = self.live_block(old) {
            let Block { size, align, family, stack, .. } = block;
            let block = Freed { size, align, family, stack };
            // Of the family, `reallocate` tells.
            let claim = Claim { family, ..claim };
            if !claim.fits(&block) {
                let stack = self.stack();
                self.misfit(old, stack, &claim, &block);
            }
        }
        self.reallocate(old, new_size, rust_align(align).max(MALLOC_ALIGN), false)
    }

    /// realloc to size 0, which frees.
    #[cold]
    pub(crate) fn realloc_to_nothing(&mut self, old: u64) {
        // Other allocators define what theirs does.
        if self.called.foreign {
            let family = self.live_block(old).map_or(Family::Malloc, |block| block.family);
            self.free(old, family);
            return;
        }
        let stack = self.stack();
        let about = About::anything(self.engine, self.thread, self.pc, old);
        self.tell(stack, &Told { address: old, ..Told::new(Error::ReallocSizeZero, about) });
        self.free(old, Family::Malloc);
    }

    /// There is no memory for a block of that size, or nobody can want it.
    #[cold]
    pub(crate) fn refuse(&mut self, size: u64) -> u64 {
        if let Some((argument, value)) = self.fishy_argument(size)
            && self.failed_new.is_none()
        {
            let stack = self.stack();
            // As in Valgrind, realloc of nothing is malloc.
            let text = match fishy_text(self.called.function, argument) {
                "realloc" if self.argument(0) == 0 => "malloc",
                text => text,
            };
            self.tell(
                stack,
                &Told { value, text: text.as_bytes(), ..Told::new(Error::FishyValue, About::NOTHING) },
            );
        }
        self.no_memory()
    }

    /// One of the first three arguments, counted from 0.
    fn argument(&self, index: usize) -> u64 {
        const PLACES: [usize; 4] = [gpr::RDI, gpr::RSI, gpr::RDX, gpr::RCX];
        self.thread.context.regs[PLACES[index + usize::from(self.called.of_heap)]]
    }

    /// The argument that makes a size negative, with its number among the function's factors. A product that is too large
    /// of factors that are not is no error.
    fn fishy_argument(&self, size: u64) -> Option<(usize, u64)> {
        use Function as F;
        let is_fishy = |value: u64| value > i64::MAX as u64;
        let argument = |index| self.argument(index);
        let factors = match self.called.function {
            F::Calloc | F::CallocAligned | F::NewN => [argument(0), argument(1)],
            F::ReallocArray | F::ReallocArr | F::Recalloc | F::RecallocAligned | F::NewReallocN => {
                // Valgrind multiplies before it looks.
                let product = argument(1).checked_mul(argument(2))?;
                return is_fishy(product).then_some((1, product));
            }
            _ => return is_fishy(size).then_some((1, size)),
        };
        factors[0].checked_mul(factors[1])?;
        factors.into_iter().enumerate().find(|(_, value)| is_fishy(*value))
    }

    /// An aligned allocation whose alignment is bad, or whose size is 0 or does not go with it.
    #[cold]
    pub(crate) fn doubtful_alignment(&mut self, align: u64, size: u64) {
        use Function as F;
        if self.failed_new.is_some() {
            return;
        }
        let function = self.called.function;
        let stack = self.stack();
        let bad = !align.is_power_of_two() || (function == F::PosixMemalign && align < 8);
        if bad {
            self.bad_alignment(stack, align);
        }
        // Only C's own function asks for whole multiples.
        if function == F::AlignedAlloc && align != 0 && !size.is_multiple_of(align) {
            let told = Told::new(Error::InvalidSizeAndAlignment, About::NOTHING);
            self.tell(stack, &Told { size, given: align, text: name(function).as_bytes(), ..told });
        }
        if size == 0 && matches!(function, F::Memalign | F::AlignedAlloc | F::PosixMemalign) {
            let told = Told::new(Error::InvalidSize, About::NOTHING);
            self.tell(stack, &Told { text: name(function).as_bytes(), ..told });
        }
    }

    fn bad_alignment(&mut self, stack: u32, align: u64) {
        let told = Told::new(Error::InvalidAlignment, About::NOTHING);
        self.tell(stack, &Told { given: align, text: name(self.called.function).as_bytes(), ..told });
    }

    fn tell(&mut self, stack: u32, told: &Told) {
        errors::tell(self.thread, stack, told);
    }
}

/// Rust asks malloc for a block that is not aligned to more, and for no alignment; rarely, posix_memalign.
const SMALL_ALIGN: u64 = 16;

/// The alignment of Rust's layout as a claim.
pub(crate) fn rust_align(align: u64) -> u64 {
    if align <= SMALL_ALIGN { 0 } else { align }
}

/// The functions that go together, as Valgrind writes them in front of a size or an alignment that does not fit.
fn names(family: Family) -> &'static str {
    match family {
        Family::New => "new/delete",
        Family::NewArray => "new[]/delete[]",
        Family::Malloc | Family::Client | Family::Pool => "malloc/free",
    }
}

/// What Valgrind calls a function that was given a fishy value, with its argument where that is not `size`.
fn fishy_text(function: Function, argument: usize) -> &'static str {
    use Function as F;
    match function {
        F::Calloc | F::CallocAligned if argument == 0 => "calloc(nmemb)",
        F::Calloc | F::CallocAligned => "calloc",
        F::New | F::NewNothrow | F::NewN => "__builtin_new",
        F::NewArray | F::NewArrayNothrow => "__builtin_vec_new",
        F::NewAligned | F::NewAlignedNothrow => "__builtin_new_aligned",
        F::NewArrayAligned | F::NewArrayAlignedNothrow => "__builtin_vec_new_aligned",
        F::Memalign | F::AlignedAlloc | F::PosixMemalign | F::Valloc | F::Pvalloc => "memalign",
        F::AlignedSizeFirst | F::ZallocAligned => "memalign",
        F::Realloc
        | F::Rezalloc
        | F::Reallocf
        | F::ReallocArray
        | F::ReallocArr
        | F::Recalloc
        | F::ReallocAligned
        | F::RezallocAligned
        | F::RecallocAligned
        | F::NewRealloc
        | F::NewReallocN
        | F::Rallocx
        | F::RustRealloc => "realloc",
        _ => "malloc",
    }
}

/// The name of a function that takes an alignment.
fn name(function: Function) -> &'static str {
    use Function as F;
    match function {
        F::AlignedAlloc => "aligned_alloc",
        F::PosixMemalign => "posix_memalign",
        F::NewAligned | F::NewAlignedNothrow => "operator new",
        F::NewArrayAligned | F::NewArrayAlignedNothrow => "operator new[]",
        F::DeleteAligned | F::DeleteSizedAligned => "operator delete",
        F::DeleteArrayAligned | F::DeleteArraySizedAligned => "operator delete[]",
        F::FreeAlignedSized => "free_aligned_sized",
        _ => "memalign",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_a_claim() {
        let plain = Freed { size: 24, align: 1, family: Family::New, stack: 1 };
        let aligned = Freed { align: 64, ..plain };
        let claim = |size, align| Claim { family: Family::New, size, align };
        assert!(claim(NOT_SAID, NOT_SAID).fits(&plain) && claim(NOT_SAID, NOT_SAID).fits(&aligned));
        assert!(claim(24, 0).fits(&plain) && claim(24, 64).fits(&aligned));
        assert!(!claim(23, 0).fits(&plain) && !claim(24, 16).fits(&plain));
        assert!(!claim(24, 0).fits(&aligned) && !claim(NOT_SAID, 32).fits(&aligned));
        let other = Claim { family: Family::NewArray, ..claim(24, 0) };
        assert!(!other.fits(&plain));
        // Rust's small alignments are none, as the blocks' are.
        assert!(claim(24, rust_align(16)).fits(&plain) && !claim(24, rust_align(32)).fits(&plain));
    }

    #[test]
    fn texts_fit_into_a_record() {
        for family in [Family::Malloc, Family::New, Family::NewArray, Family::Client, Family::Pool] {
            assert!(names(family).len() <= errors::LONGEST_TEXT);
        }
        assert!("__builtin_vec_new_aligned".len() <= errors::LONGEST_TEXT);
    }
}
