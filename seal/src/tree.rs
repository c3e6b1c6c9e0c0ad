//! Merkle trees as RFC 9162 defines them: a leaf is hashed with a 0 in front, a node with a 1, and a
//! tree of n leaves splits at the largest power of two below n.
//!
//! So a tree over the roots of full blocks of 256 leaves (the last may be smaller) has the same root as
//! the tree over all leaves.

use crate::{Hash, kind, sha256};

/// Returns the hash of a leaf: of a salt and what it protects.
pub fn leaf(salt: &[u8], digest: &Hash) -> Hash {
    sha256(&[&[kind::LEAF], salt, digest])
}

/// Returns the hash of a node.
pub fn node(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[kind::NODE], left, right])
}

/// Returns where a tree of so many leaves splits: the largest power of two below; at least two leaves.
pub(crate) fn split(leaves: usize) -> usize {
    1 << (leaves - 1).ilog2()
}

/// Returns the root of a tree, given the hashes of its leaves or of full subtrees of one size. That of
/// no leaves is the hash of nothing.
pub fn root(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => sha256(&[]),
        [only] => *only,
        _ => {
            let (left, right) = hashes.split_at(split(hashes.len()));
            node(&root(left), &root(right))
        }
    }
}

/// A step from a leaf to the root: the other child of the node above, and whether it is the left one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The hash of the other child.
    pub hash: Hash,
    /// True if it is the left child.
    pub is_left: bool,
}

/// Returns the steps from a leaf to the root, the lowest first.
pub fn path(hashes: &[Hash], index: usize) -> Vec<Step> {
    if hashes.len() < 2 {
        return Vec::new();
    }
    let middle = split(hashes.len());
    let (left, right) = hashes.split_at(middle);
    let (mut steps, step) = if index < middle {
        (path(left, index), Step { hash: root(right), is_left: false })
    } else {
        (path(right, index - middle), Step { hash: root(left), is_left: true })
    };
    steps.push(step);
    steps
}

/// Returns the root that the steps lead to from a hash.
pub fn climb(from: Hash, steps: &[Step]) -> Hash {
    steps.iter().fold(from, |hash, step| {
        if step.is_left { node(&step.hash, &hash) } else { node(&hash, &step.hash) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_over_blocks_has_the_root_of_the_tree_over_their_leaves() {
        for leaves in (1..70).chain([255, 256, 257, 512, 515, 1000]) {
            let hashes: Vec<Hash> = (0..leaves).map(|n: u32| sha256(&[&n.to_be_bytes()])).collect();
            let blocks: Vec<Hash> = hashes.chunks(16).map(root).collect();
            assert_eq!(root(&hashes), root(&blocks), "{leaves} leaves");
        }
    }

    #[test]
    fn the_path_of_each_leaf_leads_to_the_root() {
        for leaves in 1..40 {
            let hashes: Vec<Hash> = (0..leaves).map(|n: u32| sha256(&[&n.to_be_bytes()])).collect();
            for (index, hash) in hashes.iter().enumerate() {
                assert_eq!(climb(*hash, &path(&hashes, index)), root(&hashes));
            }
        }
    }

    #[test]
    fn the_root_of_two_leaves_is_as_rfc_9162_says() {
        let (a, b) = (leaf(b"", &[7; 32]), leaf(b"", &[8; 32]));
        assert_eq!(root(&[a, b]), sha256(&[&[1], &a, &b]));
        assert_eq!(a, sha256(&[&[0], &[7; 32]]));
    }
}
