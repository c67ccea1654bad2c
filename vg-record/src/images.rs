//! Process images: what the numbers of one engine (stack nodes, modules) mean in the recording.
//!
//! An image is one program in one process: fork begins a new image that continues with its parent's numbers, vfork
//! shares its parent's image, exec begins an empty one. Always holds: a number resolves to the same id for as long
//! as its image lives, and an image never sees what its parent adds after the fork. Not here: the tables of the
//! recording itself (`stacks`, `modules`).

use crate::stacks::Stacks;
use schema::Frame;
use std::collections::BTreeSet;

/// Where an image's own numbers begin; a fork's smaller ones are its parent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct First {
    /// Stack nodes.
    pub node: u32,
    /// Modules.
    pub module: u32,
}

/// Where an image is in [`Images`].
pub(crate) type ImageId = usize;

/// A stack node as the engine describes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawNode {
    /// Its number in the image.
    pub id: u32,
    /// Number of its caller; 0 for the outermost frame.
    pub parent: u32,
    /// Number of the module; 0 for none.
    pub module: u32,
    /// Address less the load bias.
    pub rva: u64,
    /// An exact pc and no return address.
    pub exact: bool,
    /// Found without unwind information.
    pub guessed: bool,
}

/// All images of the recording.
#[derive(Debug, Default)]
pub(crate) struct Images {
    list: Vec<Image>,
    /// Images with waiting nodes.
    unsettled: BTreeSet<ImageId>,
}

#[derive(Debug)]
struct Image {
    /// TSC at its start.
    start: u64,
    parent: Option<ImageId>,
    nodes: Table,
    modules: Table,
    /// Nodes whose caller or module has not come yet: another thread of the process writes it.
    waiting: Vec<RawNode>,
}

/// Numbers of one image to ids of the recording.
#[derive(Debug)]
struct Table {
    /// Smallest number of its own; smaller ones are inherited.
    first: u32,
    /// By number - `first`; 0 where none has come yet.
    ids: Vec<u32>,
}

/// How far ahead of the largest known number a new one may lie. More is nonsense from a damaged ring.
const REACH: usize = 1 << 22;

impl Table {
    #[inline]
    fn own(&self, number: u32) -> Option<u32> {
        let at = number.checked_sub(self.first)? as usize;
        self.ids.get(at).copied().filter(|&id| id != 0)
    }

    #[inline]
    fn set(&mut self, number: u32, id: u32) -> bool {
        let Some(at) = number.checked_sub(self.first) else { return false };
        let at = at as usize;
        if let Some(known) = self.ids.get_mut(at) {
            *known = id;
            return true;
        }
        if at > self.ids.len() + REACH {
            return false;
        }
        if at > self.ids.len() {
            self.ids.resize(at, 0);
        }
        self.ids.push(id);
        true
    }
}

impl Images {
    /// Begins an image at `start` (a TSC reading): empty, or a fork of `parent`, whose numbers before `first` it shares.
    pub(crate) fn begin(
        &mut self,
        start: u64,
        parent: Option<ImageId>,
        first: First,
        stacks: &mut Stacks,
    ) -> ImageId {
        if !self.list.is_empty() {
            stacks.share();
        }
        let own = |first: u32| Table { first: first.max(1), ids: Vec::new() };
        let (nodes, modules) = (own(first.node), own(first.module));
        let image = Image { start, parent, nodes, modules, waiting: Vec::new() };
        self.list.push(image);
        self.list.len() - 1
    }

    /// Among `images` of one process, in the order of their starts, the one that ran at `tsc`.
    pub(crate) fn at(&self, images: &[ImageId], tsc: u64) -> Option<ImageId> {
        let ran = images.iter().rev().find(|&&image| self.list[image].start <= tsc);
        ran.or(images.first()).copied()
    }

    /// The image, and those that it is a fork of.
    pub(crate) fn lineage(&self, image: ImageId) -> impl Iterator<Item = ImageId> {
        std::iter::successors(Some(image), |&image| self.list[image].parent)
    }

    /// Whether numbers of `image` may be those of `other`: it is the same, or a fork of it.
    pub(crate) fn descends(&self, image: ImageId, other: ImageId) -> bool {
        self.lineage(image).any(|image| image == other)
    }

    /// The id of a stack node in the recording; 0 for none, `None` while it has not come.
    #[inline]
    pub(crate) fn node(&self, image: ImageId, number: u32) -> Option<u32> {
        // Nearly all are the image's own.
        self.list[image].nodes.own(number).or_else(|| self.inherited_node(image, number))
    }

    #[cold]
    fn inherited_node(&self, image: ImageId, number: u32) -> Option<u32> {
        self.look_up(image, number, |image| &image.nodes)
    }

    /// The id of a module in the recording; 0 for none, `None` while it has not come.
    #[inline]
    pub(crate) fn module(&self, image: ImageId, number: u32) -> Option<u32> {
        self.look_up(image, number, |image| &image.modules)
    }

    /// The image that a module's number in `image` is of: itself, or one that it is a fork of.
    pub(crate) fn owner_of_module(&self, image: ImageId, number: u32) -> ImageId {
        let mut owner = image;
        while let Some(parent) = self.list[owner].parent.filter(|_| number < self.list[owner].modules.first) {
            owner = parent;
        }
        owner
    }

    fn look_up(&self, image: ImageId, number: u32, table: impl Fn(&Image) -> &Table) -> Option<u32> {
        if number == 0 {
            return Some(0);
        }
        let mut here = &self.list[image];
        loop {
            if number >= table(here).first {
                return table(here).own(number);
            }
            here = &self.list[here.parent?];
        }
    }

    /// Adds a module. False when the number makes no sense.
    pub(crate) fn add_module(&mut self, image: ImageId, number: u32, id: u32) -> bool {
        number != 0 && self.list[image].modules.set(number, id)
    }

    /// Adds a node, at once or when what it refers to has come. False when the number makes no sense.
    pub(crate) fn add_node(&mut self, image: ImageId, node: RawNode, stacks: &mut Stacks) -> bool {
        if node.id == 0 {
            return false;
        }
        let Some((parent, frame)) = self.place(image, node) else { return self.put_off(image, node) };
        let id = stacks.node(parent, frame);
        self.list[image].nodes.set(node.id, id)
    }

    /// Keeps a node until what it refers to has come.
    #[cold]
    fn put_off(&mut self, image: ImageId, node: RawNode) -> bool {
        let sound = self.list[image].nodes.set(node.id, 0);
        if sound {
            self.list[image].waiting.push(node);
            self.unsettled.insert(image);
        }
        sound
    }

    #[inline]
    fn place(&self, image: ImageId, node: RawNode) -> Option<(u32, Frame)> {
        let parent = self.node(image, node.parent)?;
        let module = self.module(image, node.module)?;
        Some((parent, Frame { module, rva: node.rva, exact: node.exact, guessed: node.guessed }))
    }

    /// Tries the nodes that wait again; called when more records have come.
    pub(crate) fn settle(&mut self, stacks: &mut Stacks) {
        for image in std::mem::take(&mut self.unsettled) {
            loop {
                let waiting = std::mem::take(&mut self.list[image].waiting);
                let before = waiting.len();
                for node in waiting {
                    self.add_node(image, node, stacks);
                }
                if self.list[image].waiting.len() == before {
                    break;
                }
            }
        }
    }

    /// Nodes that wait for something.
    #[cfg(test)]
    fn unsettled(&self) -> usize {
        self.unsettled.iter().map(|&image| self.list[image].waiting.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: First = First { node: 1, module: 1 };

    fn own(node: u32, module: u32) -> First {
        First { node, module }
    }

    fn node(id: u32, parent: u32, rva: u64) -> RawNode {
        RawNode { id, parent, module: 1, rva, exact: false, guessed: false }
    }

    fn rvas(stacks: &Stacks, mut id: u32) -> Vec<u64> {
        let mut list = Vec::new();
        while id != 0 {
            let node = stacks.nodes()[id as usize - 1];
            list.push(stacks.frames()[node.frame as usize - 1].rva);
            id = node.parent;
        }
        list
    }

    #[test]
    fn a_fork_sees_the_past_of_its_parent_and_not_its_future() {
        let (mut images, mut stacks) = (Images::default(), Stacks::default());
        let parent = images.begin(100, None, NEW, &mut stacks);
        assert!(images.add_module(parent, 1, 7));
        assert!(images.add_node(parent, node(1, 0, 10), &mut stacks));
        assert!(images.add_node(parent, node(2, 1, 20), &mut stacks));
        let child = images.begin(200, Some(parent), own(3, 2), &mut stacks);
        // Both continue with number 3, the parent first.
        assert!(images.add_node(parent, node(3, 2, 30), &mut stacks));
        assert!(images.add_node(child, node(3, 1, 31), &mut stacks));
        assert!(images.add_node(parent, node(4, 3, 40), &mut stacks));
        let grandchild = images.begin(300, Some(child), own(4, 2), &mut stacks);
        let stack = |image, number| images.node(image, number).map(|id| rvas(&stacks, id));
        assert_eq!(stack(parent, 3), Some(vec![30, 20, 10]));
        assert_eq!(stack(child, 3), Some(vec![31, 10]));
        assert_eq!(stack(child, 2), Some(vec![20, 10]));
        assert_eq!(stack(child, 4), None, "made by the parent after the fork");
        assert_eq!(stack(grandchild, 3), Some(vec![31, 10]));
        assert_eq!(stack(grandchild, 1), Some(vec![10]));
        assert_eq!(images.module(grandchild, 1), Some(7));
        assert_eq!([1, 2].map(|number| images.owner_of_module(grandchild, number)), [parent, grandchild]);
        assert_eq!(images.node(grandchild, 0), Some(0));
    }

    #[test]
    fn nodes_wait_for_their_callers_and_modules() {
        let (mut images, mut stacks) = (Images::default(), Stacks::default());
        let image = images.begin(0, None, NEW, &mut stacks);
        assert!(images.add_node(image, node(2, 1, 20), &mut stacks));
        assert!(images.add_node(image, node(3, 2, 30), &mut stacks));
        assert_eq!(images.node(image, 3), None);
        assert!(images.add_node(image, node(1, 0, 10), &mut stacks));
        images.settle(&mut stacks);
        assert_eq!(images.unsettled(), 3, "the module is still missing");
        images.add_module(image, 1, 9);
        images.settle(&mut stacks);
        assert_eq!(images.unsettled(), 0);
        let id = images.node(image, 3).expect("settled");
        assert_eq!(rvas(&stacks, id), [30, 20, 10]);
        assert!(stacks.frames().iter().all(|frame| frame.module == 9));
    }

    #[test]
    fn a_waiting_node_of_a_child_hides_the_parents() {
        let (mut images, mut stacks) = (Images::default(), Stacks::default());
        let parent = images.begin(0, None, NEW, &mut stacks);
        images.add_module(parent, 1, 1);
        images.add_node(parent, node(1, 0, 10), &mut stacks);
        let child = images.begin(5, Some(parent), own(2, 2), &mut stacks);
        images.add_node(parent, node(2, 1, 20), &mut stacks);
        images.add_node(child, RawNode { module: 2, ..node(2, 1, 99) }, &mut stacks);
        assert_eq!(images.node(child, 2), None);
        images.add_module(child, 2, 4);
        images.settle(&mut stacks);
        assert_eq!(images.node(child, 2).map(|id| rvas(&stacks, id)), Some(vec![99, 10]));
    }

    #[test]
    fn a_child_does_not_take_its_parents_later_node_for_one_of_its_own() {
        let (mut images, mut stacks) = (Images::default(), Stacks::default());
        let parent = images.begin(0, None, NEW, &mut stacks);
        images.add_module(parent, 1, 1);
        images.add_node(parent, node(1, 0, 10), &mut stacks);
        let child = images.begin(5, Some(parent), own(2, 2), &mut stacks);
        // The parent goes on with the numbers that the child has given too. One thread of the child has told of the
        // second already, another one not yet of the first.
        images.add_module(parent, 2, 2);
        images.add_node(parent, node(2, 1, 20), &mut stacks);
        assert!(images.add_node(child, node(3, 1, 33), &mut stacks));
        assert_eq!(images.node(child, 2), None);
        assert_eq!(images.module(child, 2), None);
        assert!(images.add_node(child, node(2, 1, 22), &mut stacks));
        assert_eq!(images.node(child, 2).map(|id| rvas(&stacks, id)), Some(vec![22, 10]));
        assert!(!images.add_node(child, node(1, 0, 11), &mut stacks), "a number of the parent's");
        assert!(images.descends(child, parent) && images.descends(child, child));
        assert!(!images.descends(parent, child));
    }

    #[test]
    fn an_exec_starts_anew_and_forks_choose_by_time() {
        let (mut images, mut stacks) = (Images::default(), Stacks::default());
        let first = images.begin(100, None, NEW, &mut stacks);
        let second = images.begin(500, None, NEW, &mut stacks);
        images.add_module(first, 1, 3);
        assert_eq!(images.module(second, 1), None);
        assert_eq!(images.at(&[first, second], 499), Some(first));
        assert_eq!(images.at(&[first, second], 500), Some(second));
        assert_eq!(images.at(&[first, second], 1), Some(first));
        assert_eq!(images.at(&[], 1), None);
    }

    #[test]
    fn nonsense_numbers_are_refused() {
        let (mut images, mut stacks) = (Images::default(), Stacks::default());
        let image = images.begin(0, None, NEW, &mut stacks);
        assert!(!images.add_node(image, RawNode { module: 0, ..node(u32::MAX, 0, 0) }, &mut stacks));
        assert!(!images.add_node(image, RawNode { module: 0, ..node(0, 0, 0) }, &mut stacks));
        assert!(!images.add_module(image, u32::MAX, 1));
        assert!(!images.add_module(image, 0, 1));
    }
}
