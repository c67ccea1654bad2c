//! Damaged files of all kinds: whatever is in one, it is read or refused.

use super::lines::Problem;
use super::{Read, cachegrind, callgrind, massif};
use crate::profile::graph::Graph;
use std::io::BufRead;

const CALLGRIND: &str = "# callgrind format
version: 1
event: Sum = Ir + 2 Dr : both
positions: instr line
events: Ir Dr
ob=(1) /bin/p
fl=(1) a.c
fn=(1) f
0x10 +3 5 6
+4 * 7
cob=(2) /lib/l.so
cfi=(2) b.c
cfn=(2) g
calls=3 0x40 9
* -1 100 2
jcnd=1/2 +3 +1
* *
fi=(2)
+9 18 4
part: 2
events: Dr
fn=(1)
0x1 4 9
totals: 9
";

const CACHEGRIND: &str =
    "desc: x\ncmd: y\nevents: Ir Dr\nfl=a.c\nfn=f\n1 2 3\n4 5 .\nfl=b.h\nfn=g\n0 9\nsummary: 16 3\n";

const MASSIF: &str = "desc: x\ncmd: y\ntime_unit: i\n#-----------\nsnapshot=1\n#-----------\ntime=5\nmem_heap_B=9\n\
mem_heap_extra_B=0\nmem_stacks_B=0\nheap_tree=peak\nn2: 9 (heap allocation functions) malloc\n n1: 6 0x1: f (a.c:3)\n  \
n0: 5 0x2: f (a.c:4)\n n0: 2 in 2 places, all below massif's threshold (1.00%)\n";

/// Numbers that look random and are always the same.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most
    }
}

fn damaged(text: &str, numbers: &mut Numbers) -> Vec<u8> {
    let pieces: [&[u8]; 12] = [
        b"",
        b"\n",
        b"=",
        b": ",
        b"*",
        b"-99999999999999999999",
        b"+18446744073709551615",
        b"(1)",
        b"\xff\0",
        b"n9: ",
        b"calls=1 ",
        b"4294967295 ",
    ];
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=numbers.below(4) {
        let from = numbers.below(bytes.len() + 1);
        let to = (from + numbers.below(6)).min(bytes.len());
        let piece = pieces[numbers.below(pieces.len())];
        bytes.splice(from..to, piece.iter().copied());
    }
    bytes
}

#[test]
fn any_file_is_read_or_refused() {
    type Reader = fn(&mut dyn BufRead) -> Result<Read, Problem>;
    let kinds: [(&str, Reader); 3] =
        [(CALLGRIND, callgrind::read), (CACHEGRIND, cachegrind::read), (MASSIF, massif::read)];
    let mut numbers = Numbers(1);
    for (text, reader) in kinds {
        reader(&mut text.as_bytes()).expect("the undamaged file");
        let mut read = 0;
        for _ in 0..20_000 {
            let bytes = damaged(text, &mut numbers);
            let Ok((profile, _)) = reader(&mut bytes.as_slice()) else { continue };
            read += 1;
            let graph = Graph::of(&profile);
            for inclusive in &graph.inclusive {
                assert!(
                    (0..profile.events.len()).all(|event| inclusive.get(event) <= graph.total.get(event))
                );
            }
        }
        assert!((1000..20_000).contains(&read), "{read} of 20000 were read");
    }
}
