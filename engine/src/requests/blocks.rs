//! Announcements of blocks and pools: events as of the heap, what may be touched of their memory, and errors in them, all by
//! memcheck's rules. Address 0 announces nothing.

use super::{Answer, Request, number as n};
use crate::client_blocks::{Announced, Entry, Unknown};
use crate::errors::{self, About, Told};
use crate::{client_memory, shadow, stacks, sys};
use alloc::vec::Vec;
use heap::{Relation, State};
use ring::record::{Error, Family, Kind, Stat, header, origin, pair};

impl Request<'_> {
    pub(super) fn blocks(&mut self) -> Answer {
        let [number, a, b, c, d, _] = self.arguments;
        let client = &self.engine.client;
        match number {
            n::MALLOCLIKE_BLOCK if a != 0 => {
                let stack = stacks::here(self.engine, self.thread);
                let block = Announced { size: b, stack, redzone: c };
                client.lock().add(a, block);
                self.allocated(a, &block, d != 0, Family::Client);
            }
            n::FREELIKE_BLOCK if a != 0 => {
                let block = client.lock().remove(a);
                match block {
                    // The request says how large the red zones were.
                    Some(block) => self.freed(&[((a, Announced { redzone: b, ..block }), Family::Client)]),
                    None => self.free_of_no_block(a),
                }
            }
            n::RESIZEINPLACE_BLOCK if a != 0 => {
                if client.lock().resize(a, b, c) {
                    self.resized(a, a, c, Family::Client);
                    self.resize_memory(a, b, c, d);
                } else {
                    self.error(Error::InvalidFree, a);
                }
            }
            n::CREATE_MEMPOOL => client.lock().create_pool(a, b, c != 0, d),
            n::DESTROY_MEMPOOL => {
                let gone = client.lock().destroy_pool(a);
                match gone {
                    Some(gone) => self.freed_from_pool(gone),
                    None => self.error(Error::InvalidMemPool, a),
                }
            }
            n::MEMPOOL_ALLOC => {
                let stack = stacks::here(self.engine, self.thread);
                let added = client.lock().add_to_pool(a, b, c, stack);
                match added {
                    Some((block, zeroed)) => self.allocated(b, &block, zeroed, Family::Pool),
                    None => self.error(Error::InvalidMemPool, a),
                }
            }
            n::MEMPOOL_FREE => {
                let gone = client.lock().remove_from_pool(a, b);
                match gone {
                    Ok(gone) => self.freed(&gone),
                    Err(unknown) => self.unknown(unknown, a, b),
                }
            }
            n::MEMPOOL_TRIM => {
                let trimmed = client.lock().trim_pool(a, b, c);
                match trimmed {
                    Some(trimmed) => {
                        self.freed_from_pool(trimmed.gone);
                        for (start, bytes) in trimmed.cut {
                            client_memory::no_access(self.engine, self.thread, start, bytes);
                        }
                    }
                    None => self.error(Error::InvalidMemPool, a),
                }
            }
            n::MOVE_MEMPOOL if !client.lock().move_pool(a, b) => self.error(Error::InvalidMemPool, a),
            n::MEMPOOL_CHANGE => {
                let changed = client.lock().change_in_pool(a, b, c, d);
                match changed {
                    Ok(()) => self.resized(b, c, d, Family::Pool),
                    Err(unknown) => self.unknown(unknown, a, b),
                }
            }
            n::MEMPOOL_EXISTS => return Answer::Value(u64::from(client.lock().has_pool(a))),
            _ => (),
        }
        Answer::Default
    }

    fn allocated(&mut self, address: u64, block: &Announced, zeroed: bool, family: Family) {
        let &Announced { size, stack, redzone } = block;
        if shadow::is_on() {
            if zeroed {
                client_memory::defined(self.engine, address, size);
            } else {
                client_memory::undefined(self.engine, address, size, stack << 2 | origin::HEAP);
            }
            for start in [address.saturating_sub(redzone), address.saturating_add(size)] {
                client_memory::no_access(self.engine, self.thread, start, redzone);
            }
        }
        self.thread.stats[Stat::Allocations as usize] += 1;
        let instructions = self.thread.context.instructions();
        if let Some(writer) = &mut self.thread.writer {
            let stack = pair(stack, family as u32);
            writer.push(&[header(Kind::Alloc, 6), sys::tsc(), address, size, stack, instructions]);
        }
    }

    /// The memory of a block that is resized where it is.
    fn resize_memory(&mut self, address: u64, old: u64, new: u64, redzone: u64) {
        let (old_end, new_end) = (address.saturating_add(old), address.saturating_add(new));
        if new < old {
            client_memory::no_access(self.engine, self.thread, new_end, (old - new).saturating_add(redzone));
        } else if new > old {
            let stack = stacks::here(self.engine, self.thread);
            client_memory::undefined(self.engine, old_end, new - old, stack << 2 | origin::HEAP);
            client_memory::no_access(self.engine, self.thread, new_end, redzone);
        }
    }

    fn resized(&mut self, old: u64, new: u64, size: u64, family: Family) {
        let stack = stacks::here(self.engine, self.thread);
        let instructions = self.thread.context.instructions();
        if let Some(writer) = &mut self.thread.writer {
            let stack = pair(stack, family as u32);
            writer.push(&[header(Kind::Realloc, 7), sys::tsc(), new, size, stack, instructions, old]);
        }
    }

    fn freed_from_pool(&mut self, gone: Vec<Entry>) {
        let gone: Vec<_> = gone.into_iter().map(|entry| (entry, Family::Pool)).collect();
        self.freed(&gone);
    }

    fn freed(&mut self, gone: &[(Entry, Family)]) {
        if gone.is_empty() {
            return;
        }
        let stack = stacks::here(self.engine, self.thread);
        self.thread.stats[Stat::Frees as usize] += gone.len() as u64;
        let instructions = self.thread.context.instructions();
        for &((address, block), family) in gone {
            let (start, bytes) = block.with_redzones(address);
            client_memory::no_access(self.engine, self.thread, start, bytes);
            self.engine.client.lock().remember((address, block), family, stack);
            if let Some(writer) = &mut self.thread.writer {
                let stack = pair(stack, family as u32);
                writer.push(&[header(Kind::Free, 6), sys::tsc(), address, 0, stack, instructions]);
            }
        }
    }

    /// FREELIKE_BLOCK of what was never announced: of a block of the heap, it is the wrong function.
    fn free_of_no_block(&mut self, address: u64) {
        let block = self.engine.heap.get().and_then(|heap| heap.lookup(address));
        let starts =
            |block: &heap::Block| block.state == State::Live && block.relation == Relation::Inside(0);
        match block.filter(starts) {
            Some(block) => {
                let stack = stacks::here(self.engine, self.thread);
                let about = About::of(self.engine, address);
                let (wanted, given) = (block.family as u64, Family::Client as u64);
                let told = Told { address, wanted, given, ..Told::new(Error::MismatchedFree, about) };
                errors::tell(self.thread, stack, &told);
            }
            None => self.error(Error::InvalidFree, address),
        }
    }

    fn unknown(&mut self, unknown: Unknown, pool: u64, block: u64) {
        match unknown {
            Unknown::Pool => self.error(Error::InvalidMemPool, pool),
            Unknown::Block => self.error(Error::InvalidFree, block),
        }
    }

    /// Tells of an error in a request, about an address.
    fn error(&mut self, error: Error, address: u64) {
        let stack = stacks::here(self.engine, self.thread);
        let about = About::anything(self.engine, self.thread, self.thread.context.pc, address);
        errors::tell(self.thread, stack, &Told { address, ..Told::new(error, about) });
    }
}
