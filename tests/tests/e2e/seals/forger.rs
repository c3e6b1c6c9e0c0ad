//! An owner who knows how seals are computed, and computes them anew over changed events.

use eventlog_seal::{Hash, tree};
use postgres::Client;

use super::stored::{self, hex};

fn execute(client: &mut Client, sql: &str) {
    client.batch_execute(sql).unwrap_or_else(|error| panic!("{sql}\n{error:?}"));
}

/// Writes the hashes of the blocks of a tenant's day anew, from the events that are there.
pub(crate) fn rewrite_blocks(client: &mut Client, tenant: &str, day: &str) {
    for block in stored::blocks(client, &format!("tenant_id = '{tenant}' AND day = '{day}'")) {
        let root = block.block.root_over(&block.digests()).expect("as many events as before");
        let place = block.place();
        let hash = hex(&root);
        execute(
            client,
            &format!("UPDATE eventlog.seal_blocks SET hash = '\\x{hash}' WHERE {place}"),
        );
    }
}

/// Writes the roots of the seals of a tenant's day anew, from their blocks.
pub(crate) fn rewrite_roots(client: &mut Client, tenant: &str, day: &str) {
    let blocks = stored::blocks(client, &format!("tenant_id = '{tenant}' AND day = '{day}'"));
    let mut parts: Vec<i32> = blocks.iter().map(|block| block.part).collect();
    parts.dedup();
    for part in parts {
        let of_part = blocks.iter().filter(|block| block.part == part);
        let hashes: Vec<Hash> = of_part.map(|block| *block.block.hash()).collect();
        let root = hex(&tree::root(&hashes));
        execute(
            client,
            &format!(
                "UPDATE eventlog.seals SET root = '\\x{root}' WHERE tenant_id = '{tenant}' AND day = '{day}' AND part = {part}"
            ),
        );
    }
}

/// Writes anew what each seal has of the one before.
pub(crate) fn rewrite_chain(client: &mut Client) {
    let mut last: Option<([u8; 16], Hash)> = None;
    for (mut seal, ..) in stored::seals(client) {
        seal.previous = match last {
            Some((tenant, hash)) if tenant == seal.tenant_id => hash,
            _ => [0; 32],
        };
        last = Some((seal.tenant_id, seal.hash()));
        execute(
            client,
            &format!(
                "UPDATE eventlog.seals SET previous = '\\x{}' WHERE tenant_id = '{}' AND number = {}",
                hex(&seal.previous),
                hex(&seal.tenant_id),
                seal.number
            ),
        );
    }
}

/// Writes all digests anew.
pub(crate) fn rewrite_digests(client: &mut Client) {
    let mut previous = [0; 32];
    for (mut digest, _) in stored::digests(client) {
        digest.root = stored::digest_root(client, digest.number);
        digest.previous = previous;
        previous = digest.hash();
        execute(
            client,
            &format!(
                "UPDATE eventlog.seal_digests SET root = '\\x{}', previous = '\\x{}', digest = '\\x{}' WHERE number = {}",
                hex(&digest.root),
                hex(&digest.previous),
                hex(&previous),
                digest.number
            ),
        );
    }
}
