//! A cache of the first level whose memory is somebody else's, who looks for a line in front of its set, and asks here where it is not.
//!
//! Rules of [`crate::last`] without dirty lines. What always holds: the lines of a set lie in the order of their last use, the latest
//! first. As in Valgrind the line at address 0 counts as present at the beginning, where all memory is 0.

/// The cache.
#[derive(Debug)]
pub struct Lent<'a> {
    /// log2 of the bytes of a line.
    pub line_bits: u32,
    /// A power of two.
    pub sets: usize,
    /// Lines in a set.
    pub ways: usize,
    /// How far one set lies behind another.
    pub stride: usize,
    /// Addresses of lines.
    pub lines: &'a mut [u64],
}

impl Lent<'_> {
    /// Uses the one or two lines of an access; says whether all were there.
    pub fn uses(&mut self, address: u64, span: u8) -> bool {
        let line = |address: u64| address >> self.line_bits << self.line_bits;
        let (first, last) = (line(address), line(address.wrapping_add(span.into())));
        let hit = self.uses_line(first);
        if first == last { hit } else { self.uses_line(last) && hit }
    }

    fn uses_line(&mut self, line: u64) -> bool {
        let set = (line >> self.line_bits) as usize & self.sets.wrapping_sub(1);
        let first = set * self.stride;
        let Some(set) = self.lines.get_mut(first..first + self.ways) else { return false };
        // Each line moves one place back, until the place is found where this one was.
        let mut carried = line;
        set.iter_mut().any(|place| {
            carried = core::mem::replace(place, carried);
            carried == line
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::first::FirstLevel;
    use crate::geometry::Geometry;
    use alloc::vec;

    #[test]
    fn hits_are_those_of_a_first_level() {
        for (size, ways, line_bits) in [(256, 1, 6), (512, 4, 6), (768, 12, 5), (32768, 8, 6)] {
            let geometry = Geometry::new(size, ways, 1 << line_bits).unwrap();
            let mut first = FirstLevel::new(geometry);
            let stride = (ways as usize).next_power_of_two();
            let mut lines = vec![0; geometry.sets() as usize * stride];
            let mut state = 88_172_645_463_325_252u64;
            for step in 0..20_000u64 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let (address, span) = ((state >> 8) % (u64::from(size) * 3), (state % 32) as u8);
                let (sets, ways) = (geometry.sets() as usize, ways as usize);
                let mut lent = Lent { line_bits, sets, ways, stride, lines: &mut lines };
                assert_eq!(lent.uses(address, span), first.uses(address, span), "{step}");
            }
        }
    }
}
