//! The stack tree, alone and with threads.

mod support;

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use support::*;
use unwind::*;

#[test]
fn a_node_is_its_parent_module_and_address() {
    let memory = tree_memory(100);
    let tree = StackTree::new(&memory);
    let mut spare = 0;
    let mut intern =
        |parent, module, address| tree.intern(parent, module, address, &mut spare).expect("room");
    assert!(tree.is_empty());
    let first = intern(0, 1, 0x10);
    assert_eq!(first, Interned { id: 1, is_new: true });
    assert_eq!(intern(0, 1, 0x10), Interned { id: 1, is_new: false });
    let keys =
        [(0, 2, 0x10), (0, 1, 0x11), (1, 1, 0x10), (0, 1, 0x10 | Frame::EXACT), (2, 1, 0x10), (0, 1, 0)];
    for (n, &(parent, module, address)) in keys.iter().enumerate() {
        assert_eq!(intern(parent, module, address), Interned { id: n as u32 + 2, is_new: true });
    }
    for (n, &(parent, module, address)) in keys.iter().enumerate() {
        let id = n as u32 + 2;
        assert_eq!(intern(parent, module, address), Interned { id, is_new: false });
        assert_eq!(tree.node(id), Some(NewNode { id, parent, module, address }));
    }
    assert_eq!((tree.len(), tree.node(0), tree.node(8)), (7, None, None));
}

#[test]
fn many_children_and_a_full_tree() {
    let memory = tree_memory(5000);
    let tree = StackTree::new(&memory);
    let mut spare = 0;
    assert_eq!(tree.capacity(), 5000);
    for round in 0..2 {
        for n in 0..5000 {
            let node = tree.intern(0, 3, 0x1000 + 16 * n, &mut spare).expect("room");
            assert_eq!(node, Interned { id: n as u32 + 1, is_new: round == 0 });
        }
    }
    for _ in 0..3 {
        assert_eq!(tree.intern(0, 3, 1, &mut spare), None);
        assert_eq!(tree.intern(1, 3, 1, &mut spare), None);
        assert_eq!(tree.intern(5001, 3, 1, &mut spare), None);
    }
    assert_eq!((tree.len(), tree.intern(0, 3, 0x1010, &mut spare).map(|node| node.id)), (5000, Some(2)));
}

#[test]
fn threads_agree_on_every_node() {
    const THREADS: u64 = 8;
    for seed in 1..=6 {
        let memory = tree_memory(100_000);
        let tree = StackTree::new(&memory);
        let new: Mutex<Vec<NewNode>> = Mutex::new(Vec::new());
        let stacks: Vec<HashMap<Vec<u64>, u32>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|_| {
                    let (tree, new) = (&tree, &new);
                    scope.spawn(move || {
                        // All threads want the same stacks at the same time: the worst case.
                        let mut random = Random(seed);
                        let (mut spare, mut mine, mut found) = (0, Vec::new(), HashMap::new());
                        for _ in 0..4000 {
                            let mut parent = 0;
                            let mut path = Vec::new();
                            for level in 0..1 + random.below(8) {
                                let address = level << 8 | random.below(6);
                                let node = tree.intern(parent, 1, address, &mut spare).expect("room");
                                assert!(node.id > parent, "parents come first");
                                if node.is_new {
                                    mine.push(NewNode { id: node.id, parent, module: 1, address });
                                }
                                parent = node.id;
                                path.push(address);
                                found.insert(path.clone(), parent);
                            }
                        }
                        new.lock().expect("no panic").extend(mine);
                        found
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert!(stacks.iter().all(|found| found == &stacks[0]));
        let new = new.into_inner().expect("no panic");
        let ids: HashSet<u32> = new.iter().map(|node| node.id).collect();
        let keys: HashSet<(u32, u64)> = new.iter().map(|node| (node.parent, node.address)).collect();
        assert_eq!((ids.len(), keys.len()), (new.len(), new.len()), "each node is new once");
        assert_eq!(new.len(), stacks[0].len());
        assert!(new.iter().all(|node| tree.node(node.id) == Some(*node)));
        // Gaps are few (4 % were seen) even when all threads want the same nodes at the same time.
        let gaps = tree.len() as usize - new.len();
        assert!(gaps <= 16 + new.len() / 4, "{gaps} gaps, {} nodes", new.len());
    }
}

#[test]
fn a_copy_goes_on_by_itself() {
    let memory = tree_memory(100);
    let tree = StackTree::new(&memory);
    let mut spare = 0;
    let parent = tree.intern(0, 1, 5, &mut spare).expect("room").id;
    // What a forked child has: the same words.
    let copied: Vec<_> =
        memory.iter().map(|word| word.load(std::sync::atomic::Ordering::Relaxed).into()).collect();
    let copy = StackTree::resume(&copied, tree.len());
    assert_eq!(copy.intern(0, 1, 5, &mut spare), Some(Interned { id: parent, is_new: false }));
    assert_eq!(copy.intern(parent, 1, 6, &mut spare), Some(Interned { id: 2, is_new: true }));
    assert_eq!(tree.intern(parent, 1, 7, &mut spare), Some(Interned { id: 2, is_new: true }));
    assert_eq!(tree.len(), 2);
}
