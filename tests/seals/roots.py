"""Compares roots with those of pymerkle. Reads what the example `leaves` of the crate eventlog-seal prints,
and prints how many seals and blocks have the same root; fails with the first that has not."""

import sys

from pymerkle import InmemoryTree


def root(leaves):
    tree = InmemoryTree(algorithm="sha256")
    for leaf in leaves:
        tree.append_entry(leaf)
    # Version 6, for Python 3.10, has the one, 7 the other.
    return (tree.get_root if hasattr(tree, "get_root") else tree.get_state)().hex()


class Tree:
    def __init__(self, kind, expected):
        self.kind, self.expected, self.leaves = kind, expected, []

    def compare(self):
        found = root(self.leaves)
        if found != self.expected:
            sys.exit(f"{self.kind} of {len(self.leaves)} leaves: {self.expected}, pymerkle has {found}")


trees = []
seal = block = None
for line in sys.stdin:
    kind, value = line.split()
    if kind == "seal":
        seal = Tree(kind, value)
        trees.append(seal)
    elif kind == "block":
        block = Tree(kind, value)
        trees.append(block)
    else:
        for tree in (seal, block):
            tree.leaves.append(bytes.fromhex(value))
for tree in trees:
    tree.compare()
print(*(sum(tree.kind == kind for tree in trees) for kind in ("seal", "block")))
