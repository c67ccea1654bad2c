//! Fills messages about the stream of data accesses. The same rules hold as in the parent module.

use crate::{codec::Stored, model::*, raw::trace_capnp as raw};

pub(in crate::write) fn access_runs(
    mut m: raw::access_runs::Builder<'_>,
    of: Modelled,
    first: u32,
    runs: &[AccessRun],
) {
    m.set_process(of.process);
    m.set_program(of.program);
    m.set_first(first);
    let count = runs.len() as u32;
    let numbered = || (0..count).zip(runs);
    let mut start = m.reborrow().init_start(count);
    numbered().for_each(|(i, run)| start.set(i, run.start));
    let mut words = m.reborrow().init_words(count);
    numbered().for_each(|(i, run)| words.set(i, run.words));
    let mut ends = m.reborrow().init_ends(count);
    let mut code = Vec::new();
    for (i, run) in numbered() {
        code.extend_from_slice(&run.code.0);
        ends.set(i, code.len() as u32);
    }
    m.set_code(&code);
}

pub(in crate::write) fn access_log(
    mut m: raw::access_log::Builder<'_>,
    log: &AccessLog,
    [heads, words]: &[Stored; 2],
) {
    m.set_process(log.of.process);
    m.set_program(log.of.program);
    m.set_thread(log.thread);
    m.set_series(log.series);
    m.set_counts(log.counts);
    m.set_fs(log.fs);
    m.set_gs(log.gs);
    heads.store(m.reborrow().init_heads());
    words.store(m.init_words());
}

pub(in crate::write) fn access_mark(mut m: raw::access_mark::Builder<'_>, mark: &AccessMark) {
    m.set_process(mark.of.process);
    m.set_program(mark.of.program);
    m.set_kind(mark.kind.number());
    m.set_part(mark.part);
    m.set_child(mark.child);
    let count = mark.places.len() as u32;
    let numbered = || (0..count).zip(&mark.places);
    let mut from = m.reborrow().init_from(count);
    numbered().for_each(|(i, place)| from.set(i, place.from));
    let mut module = m.reborrow().init_module(count);
    numbered().for_each(|(i, place)| module.set(i, place.module));
    let mut bias = m.init_bias(count);
    numbered().for_each(|(i, place)| bias.set(i, place.bias));
}
