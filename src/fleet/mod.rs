//! Many accounts that run one plan: the file that lists them, the waves in which they send, and the shards into which they are
//! divided for an engine. What they send is the plan's business; that one waits for another is a guard of the run.

mod accounts;
mod member;
mod model;
pub mod schema;
mod shards;
pub mod standing;
mod waves;

pub use accounts::read;
pub use member::{Fleet, Member};
pub use shards::Shard;

use crate::payload;

/// The digest of a fleet: that of the names of its accounts, sorted, and of their plans' digests.
pub fn digest<'d>(plans: impl IntoIterator<Item = (&'d str, &'d str)>) -> String {
    let mut lines: Vec<String> = plans.into_iter().map(|(name, digest)| format!("{name} {digest}\n")).collect();
    lines.sort();
    payload::digest(lines.concat().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_a_fleet_knows_no_order() {
        let one = digest([("a", "sha256:1"), ("b", "sha256:2")]);
        assert_eq!(one, digest([("b", "sha256:2"), ("a", "sha256:1")]));
        assert_ne!(one, digest([("a", "sha256:2"), ("b", "sha256:1")]));
    }
}
