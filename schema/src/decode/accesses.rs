//! The stream of data accesses from Cap'n Proto to plain values. The same rules hold as in the parent module.

use super::{Decoded, bytes, field, same};
use crate::{codec, model::*, raw::trace_capnp as raw, rows::MAX_ROWS};

fn of(process: u32, program: u32) -> Modelled {
    Modelled { process, program }
}

pub(super) fn runs(m: &raw::access_runs::Reader<'_>) -> Decoded<Message> {
    let code = bytes("code", m.get_code())?.0;
    let start = field("start", m.get_start())?;
    let words = field("words", m.get_words())?;
    let ends = field("ends", m.get_ends())?;
    same("words", &words, start.len())?;
    same("ends", &ends, start.len())?;
    let mut begins = 0;
    let runs = (start.iter().zip(words.iter()).zip(ends.iter()))
        .map(|((start, words), end)| {
            let of = code.get(begins..end as usize);
            let of = of.ok_or_else(|| format!("ends: {end} does not lie in {begins}..={}", code.len()))?;
            begins = end as usize;
            Ok(AccessRun { start, words, code: Bytes::from(of) })
        })
        .collect::<Decoded<_>>()?;
    Ok(Message::AccessRuns(AccessRuns {
        of: of(m.get_process(), m.get_program()),
        first: m.get_first(),
        runs,
    }))
}

pub(super) fn log(m: &raw::access_log::Reader<'_>) -> Decoded<Message> {
    let values = |name, column: capnp::Result<raw::column::Reader<'_>>| {
        codec::unpack_alone(field(name, column)?, MAX_ROWS).map_err(|why| format!("{name}: {why}"))
    };
    let (heads, words) = (values("heads", m.get_heads())?, values("words", m.get_words())?);
    let (Some(heads), Some(words)) = (heads, words) else {
        return Ok(Message::Skipped(Skipped::Column { column: 0, rows: 0 }));
    };
    Ok(Message::AccessLog(AccessLog {
        of: of(m.get_process(), m.get_program()),
        thread: m.get_thread(),
        series: m.get_series(),
        counts: m.get_counts(),
        fs: m.get_fs(),
        gs: m.get_gs(),
        heads,
        words,
    }))
}

pub(super) fn mark(m: &raw::access_mark::Reader<'_>) -> Decoded<Message> {
    let from = field("from", m.get_from())?;
    let module = field("module", m.get_module())?;
    let bias = field("bias", m.get_bias())?;
    same("module", &module, from.len())?;
    same("bias", &bias, from.len())?;
    let places = (from.iter().zip(module.iter()).zip(bias.iter()))
        .map(|((from, module), bias)| CodeBase { from, module, bias })
        .collect();
    Ok(Message::AccessMark(AccessMark {
        of: of(m.get_process(), m.get_program()),
        kind: MarkKind::from_number(m.get_kind()),
        part: m.get_part(),
        child: m.get_child(),
        places,
    }))
}
