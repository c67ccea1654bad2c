//! bpf: one structure for all commands, of which each uses its own fields.
//!
//! What always holds: a field beyond the size that the program states is not looked at. Fields and texts are
//! Valgrind's, with its missing parentheses. Keys and values of maps need [`crate::Memory::bpf_map`].

use crate::visit::Visit;

/// A field: text, offset, bytes.
type Field = (&'static str, u64, u64);

/// `sizeof(struct bpf_insn)`.
const INSTRUCTION: u64 = 8;

/// Longest log of the verifier (the kernel's `UINT_MAX >> 2`) and object (BTF: 16 MiB) that are checked.
const LOG_MAX: u64 = u32::MAX as u64 >> 2;

const KEY: Field = ("bpf(attr->key)", 8, 8);
const VALUE: Field = ("bpf(attr->value)", 16, 8);
const MAP: Field = ("bpf(attr->map_fd)", 0, 4);

pub(crate) fn bpf(visit: &mut Visit<'_>) {
    let bpf = Attributes { at: visit.argument(1), size: visit.count(2) };
    match visit.argument32(0) {
        0 => bpf.map_create(visit),
        1 | 21 => {
            bpf.read(visit, &[KEY, VALUE, MAP]);
            bpf.element(visit, true);
        }
        2 => {
            bpf.read(visit, &[KEY, VALUE, MAP, ("bpf(attr->flags)", 24, 8)]);
            bpf.element(visit, false);
        }
        3 => {
            bpf.read(visit, &[KEY, MAP]);
            if let Some((key, _)) = bpf.map(visit) {
                visit.read("bpf(attr->key)", bpf.u64(visit, 8), key);
            }
        }
        4 => {
            bpf.read(visit, &[KEY, ("bpf(attr->next_key)", 16, 8), MAP, ("bpf(attr->flags)", 24, 8)]);
            if let Some((key, _)) = bpf.map(visit) {
                let first = bpf.u64(visit, 8);
                visit.read("bpf(attr->key)", first, if first == 0 { 0 } else { key });
                visit.write("bpf(attr->next_key)", bpf.u64(visit, 16), key);
            }
        }
        5 => bpf.program_load(visit),
        6 | 7 => {
            let fields: [Field; 3] = [
                ("bpf(attr->file_flags)", 12, 4),
                ("bpf(attr->pathname)", 0, 8),
                ("bpf(attr->bpf_fd)", 8, 4),
            ];
            bpf.read(visit, &fields);
            visit.string("bpf(attr->pathname)", bpf.u64(visit, 0));
        }
        8 | 9 => bpf.read(visit, &[ATTACH_TYPE, TARGET, ("bpf(attr->attach_bpf_fd)", 4, 4)]),
        10 => bpf.test_run(visit),
        11 | 12 | 23 | 31 => {
            bpf.read(visit, &[("bpf(attr->start_id)", 0, 4)]);
            bpf.write(visit, &[("bpf(attr->next_id", 4, 4)]);
        }
        13 => bpf.read(visit, &[("bpf(attr->prog_id", 0, 4)]),
        14 => bpf.read(visit, &[("bpf(attr->map_id", 0, 4)]),
        19 => bpf.read(visit, &[("bpf(attr->btf_id", 0, 4)]),
        15 => bpf.information(visit),
        16 => bpf.query(visit),
        17 => {
            let fields: [Field; 2] =
                [("bpf(attr->raw_tracepoint.name)", 0, 8), ("bpf(attr->raw_tracepoint.prog_fd)", 8, 4)];
            bpf.read(visit, &fields);
            let name = bpf.u64(visit, 0);
            if name != 0 {
                visit.string("bpf(attr->raw_tracepoint.name)", name);
            }
        }
        18 => bpf.types_load(visit),
        20 => bpf.task(visit),
        22 => bpf.read(visit, &[MAP]),
        // A command that is not known here is described by nothing.
        _ => {}
    }
}

const ATTACH_TYPE: Field = ("bpf(attr->attach_type)", 8, 4);
const TARGET: Field = ("bpf(attr->target_fd)", 0, 4);

/// `union bpf_attr`.
#[derive(Clone, Copy)]
struct Attributes {
    at: u64,
    size: u64,
}

impl Attributes {
    fn inside(self, (_, offset, size): Field) -> bool {
        offset + size <= self.size
    }

    fn read(self, visit: &mut Visit<'_>, fields: &[Field]) {
        for field in fields.iter().filter(|field| self.inside(**field)) {
            visit.read(field.0, self.at.wrapping_add(field.1), field.2);
        }
    }

    fn write(self, visit: &mut Visit<'_>, fields: &[Field]) {
        for field in fields.iter().filter(|field| self.inside(**field)) {
            visit.write(field.0, self.at.wrapping_add(field.1), field.2);
        }
    }

    /// A field, 0 where it is not there.
    fn u32(self, visit: &Visit<'_>, offset: u64) -> u32 {
        if offset + 4 > self.size { 0 } else { visit.u32(self.at.wrapping_add(offset)).unwrap_or(0) }
    }

    fn u64(self, visit: &Visit<'_>, offset: u64) -> u64 {
        if offset + 8 > self.size { 0 } else { visit.u64(self.at.wrapping_add(offset)).unwrap_or(0) }
    }

    /// A name of at most 16 bytes.
    fn name(self, visit: &mut Visit<'_>, text: &'static str, offset: u64) {
        const NAME: u64 = 16;
        if offset + NAME <= self.size {
            visit.string_within(text, self.at.wrapping_add(offset), NAME);
        }
    }

    fn map(self, visit: &Visit<'_>) -> Option<(u64, u64)> {
        visit.memory.bpf_map(self.u32(visit, 0))
    }

    /// Key and value of an element; whether the value is written by the kernel.
    fn element(self, visit: &mut Visit<'_>, writes: bool) {
        let Some((key, value)) = self.map(visit) else { return };
        visit.read("bpf(attr->key)", self.u64(visit, 8), key);
        let at = self.u64(visit, 16);
        if writes {
            visit.write("bpf(attr->value)", at, value);
        } else {
            visit.read("bpf(attr->value)", at, value);
        }
    }

    fn map_create(self, visit: &mut Visit<'_>) {
        const NUMA_NODE: u32 = 1 << 2;
        let (array, arrays, hashes) = (2, 12, 13);
        self.read(visit, &[("bpf(attr->map_flags", 16, 4)]);
        if self.u32(visit, 16) & NUMA_NODE != 0 {
            self.read(visit, &[("bpf(attr->numa_node", 24, 4)]);
        }
        let fields: [Field; 5] = [
            ("bpf(attr->map_type", 0, 4),
            ("bpf(attr->map_ifindex", 44, 4),
            ("bpf(attr->max_entries", 12, 4),
            ("bpf(attr->key_size", 4, 4),
            ("bpf(attr->value_size", 8, 4),
        ];
        self.read(visit, &fields);
        let kind = self.u32(visit, 0);
        if kind == arrays || kind == hashes {
            self.read(visit, &[("bpf(attr->inner_map_fd", 20, 4)]);
        }
        self.name(visit, "bpf(attr->map_name)", 28);
        if kind == array {
            let types: [Field; 2] =
                [("bpf(attr->btf_key_type_id", 52, 4), ("bpf(attr->btf_value_type_id", 56, 4)];
            self.read(visit, &types);
        }
    }

    fn program_load(self, visit: &mut Visit<'_>) {
        const PROBE: u32 = 2;
        let fields: [Field; 9] = [
            ("bpf(attr->prog_type)", 0, 4),
            ("bpf(attr->prog_flags)", 44, 4),
            ("bpf(attr->license)", 16, 8),
            ("bpf(attr->insn_cnt)", 4, 4),
            ("bpf(attr->expected_attach_type)", 68, 4),
            ("bpf(attr->prog_ifindex)", 64, 4),
            ("bpf(attr->log_level)", 24, 4),
            ("bpf(attr->log_buf)", 32, 8),
            ("bpf(attr->log_size)", 28, 4),
        ];
        self.read(visit, &fields);
        if self.u32(visit, 0) == PROBE {
            self.read(visit, &[("bpf(attr->kern_version)", 40, 4)]);
        }
        self.name(visit, "bpf(attr->prog_name)", 48);
        let count = u64::from(self.u32(visit, 4));
        visit.read("bpf(attr->insns)", self.u64(visit, 8), count * INSTRUCTION);
        visit.string("bpf(attr->license)", self.u64(visit, 16));
        self.log(visit, "bpf(attr->log_buf)", 32, 28, 24);
    }

    /// A log of the verifier, which is written on failure, too.
    fn log(self, visit: &mut Visit<'_>, text: &'static str, buffer: u64, size: u64, level: u64) {
        let (buffer, size, level) =
            (self.u64(visit, buffer), u64::from(self.u32(visit, size)), self.u32(visit, level));
        if (level == 0 && size == 0 && buffer == 0) || size > LOG_MAX {
            return;
        }
        visit.write_part(text, buffer, size, 0);
        // As many bytes as the text has; the kernel ends it with a NUL.
        if !visit.is_before() && level != 0 {
            let mut length = 0;
            while length < size && visit.u8(buffer.wrapping_add(length)).is_some_and(|byte| byte != 0) {
                length += 1;
            }
            visit.mark(buffer, (length + 1).min(size));
        }
    }

    fn test_run(self, visit: &mut Visit<'_>) {
        let read: [Field; 5] = [
            ("bpf(attr->test.prog_fd)", 0, 4),
            ("bpf(attr->test.repeat)", 32, 4),
            ("bpf(attr->test.data_size_in)", 8, 4),
            ("bpf(attr->test.data_in)", 16, 8),
            ("bpf(attr->test.data_out)", 24, 8),
        ];
        let written: [Field; 3] = [
            ("bpf(attr->test.retval)", 4, 4),
            ("bpf(attr->test.data_size_out)", 12, 4),
            ("bpf(attr->test.duration)", 36, 4),
        ];
        self.read(visit, &read);
        self.write(visit, &written);
        let (size_in, size_out) = (u64::from(self.u32(visit, 8)), u64::from(self.u32(visit, 12)));
        visit.read("bpf(attr->test.data_in)", self.u64(visit, 16), size_in);
        let out = self.u64(visit, 24);
        if out != 0 {
            visit.write_part("bpf(attr->test.data_out)", out, size_in, size_out);
        }
    }

    fn information(self, visit: &mut Visit<'_>) {
        let fields: [Field; 3] = [
            ("bpf(attr->info.bpf_fd)", 0, 4),
            ("bpf(attr->info.info)", 8, 8),
            ("bpf(attr->info.info_len)", 4, 4),
        ];
        self.read(visit, &fields);
        let now = u64::from(self.u32(visit, 4));
        let before = visit.keep(0, now);
        visit.write_part("bpf(attr->info.info)", self.u64(visit, 8), before, now.min(before));
    }

    fn query(self, visit: &mut Visit<'_>) {
        let fields: [Field; 4] = [
            ("bpf(attr->query.query_flags)", 8, 4),
            ("bpf(attr->query.attach_type)", 4, 4),
            ("bpf(attr->query.target_fd)", 0, 4),
            ("bpf(attr->query.prog_cnt)", 24, 4),
        ];
        self.read(visit, &fields);
        self.write(visit, &[("bpf(attr->query.attach_flags)", 12, 4)]);
        let now = u64::from(self.u32(visit, 24));
        let before = visit.keep(0, now);
        if before > 0 {
            self.read(visit, &[("bpf(attr->query.prog_ids)", 16, 8)]);
            let numbers = self.u64(visit, 16);
            if numbers != 0 {
                visit.write_part(
                    "bpf(attr->query.prog_ids)",
                    numbers,
                    before.saturating_mul(4),
                    now.min(before) * 4,
                );
            }
        }
    }

    fn types_load(self, visit: &mut Visit<'_>) {
        let fields: [Field; 5] = [
            ("bpf(attr->btf)", 0, 8),
            ("bpf(attr->btf_size)", 16, 4),
            ("bpf(attr->btf_log_buf)", 8, 8),
            ("bpf(attr->btf_log_size)", 20, 4),
            ("bpf(attr->btf_log_level)", 24, 4),
        ];
        self.read(visit, &fields);
        visit.read("bpf(attr->btf)", self.u64(visit, 0), u64::from(self.u32(visit, 16)));
        self.log(visit, "bpf(attr->btf_log_buf)", 8, 20, 24);
    }

    fn task(self, visit: &mut Visit<'_>) {
        let read: [Field; 5] = [
            ("bpf(attr->task_fd_query.pid)", 0, 4),
            ("bpf(attr->task_fd_query.fd)", 4, 4),
            ("bpf(attr->task_fd_query.flags)", 8, 4),
            ("bpf(attr->task_fd_query.buf_len)", 12, 4),
            ("bpf(attr->task_fd_query.buf)", 16, 8),
        ];
        let written: [Field; 4] = [
            ("bpf(attr->task_fd_query.prog_id)", 24, 4),
            ("bpf(attr->task_fd_query.fd_type)", 28, 4),
            ("bpf(attr->task_fd_query.probe_offset)", 32, 8),
            ("bpf(attr->task_fd_query.probe_addr)", 40, 8),
        ];
        self.read(visit, &read);
        self.write(visit, &written);
        let now = u64::from(self.u32(visit, 12));
        let before = visit.keep(0, now);
        let buffer = self.u64(visit, 16);
        if buffer != 0 {
            // The length that is written does not count the NUL.
            visit.write_part(
                "bpf(attr->task_fd_query.buf)",
                buffer,
                before,
                now.saturating_add(1).min(before),
            );
        }
    }
}
