//! Seals random events, and prints their leaves and roots, for other implementations of Merkle trees to
//! compare. Arguments: a seed, and the numbers of events. Each line begins with its kind:
//!
//! - `seal`: the root over all blocks that follow, as the seal has it;
//! - `block`: the root of the leaves that follow;
//! - `leaf`: what is hashed for a leaf, without the 0 in front: the salt and the digest of an event.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;

use eventlog_seal::block::Block;
use eventlog_seal::form::{Columns, Form};
use eventlog_seal::salts::Seeds;
use eventlog_seal::{BLOCK, Hash, tree};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn digest(random: &mut fastrand::Rng, id: i64) -> Hash {
    let mut form = Form::default();
    let columns = Columns {
        id,
        tenant_id: std::array::from_fn(|_| random.u8(..)),
        created_at: random.i64(..),
        occurred_at: random.bool().then(|| random.i64(..)),
        weight: random.bool().then(|| random.f32()),
        name: b"tool_used",
        actor: random.bool().then_some(b"ann"),
        subject: None,
    };
    form.begin(&columns).number(random.u64(..).to_string().as_bytes());
    form.digest()
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let seed = arguments.next().ok_or("a seed, and numbers of events")?;
    let mut random = fastrand::Rng::with_seed(seed.parse()?);
    let mut out = std::io::stdout().lock();
    for events in arguments {
        let digests: Vec<Hash> = (0..events.parse()?).map(|id| digest(&mut random, id)).collect();
        let seeds: Vec<[u8; 16]> =
            digests.chunks(BLOCK).map(|_| std::array::from_fn(|_| random.u8(..))).collect();
        let blocks: Vec<Block> = digests
            .chunks(BLOCK)
            .zip(&seeds)
            .map(|(digests, seed)| Block::seal(digests, *seed))
            .collect();
        let roots: Vec<Hash> = blocks.iter().map(|block| *block.hash()).collect();
        writeln!(out, "seal {}", hex(&tree::root(&roots)))?;
        for ((root, seed), digests) in roots.iter().zip(seeds).zip(digests.chunks(BLOCK)) {
            writeln!(out, "block {}", hex(root))?;
            for (salt, digest) in Seeds::of(seed).salts().into_iter().flatten().zip(digests) {
                writeln!(out, "leaf {}{}", hex(&salt), hex(digest))?;
            }
        }
    }
    Ok(())
}
