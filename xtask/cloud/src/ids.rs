//! Ids in the providers' shapes, drawn from a seed so that two runs with the same seed give the same ids.

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The id as it stands in a URL.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// A deploy of the Netlify site: 24 hex digits.
    SiteDeployId
);
id!(
    /// A deploy of the Render service: `dep-` and 20 characters.
    DeployId
);
id!(
    /// One start of the service's process: the service's id, `-` and 5 characters.
    InstanceId
);

/// A deterministic stream of ids (splitmix64). The counter is part of the saved state, so ids stay unique across restarts.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct IdSource {
    seed: u64,
    drawn: u64,
}

impl IdSource {
    /// A stream that depends on nothing but `seed`.
    pub const fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    fn next(&mut self) -> u64 {
        self.drawn += 1;
        let mut z = self
            .seed
            .wrapping_add(self.drawn.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn text(&mut self, len: usize, alphabet: &[u8]) -> String {
        (0..len)
            .map(|_| char::from(alphabet[(self.next() % alphabet.len() as u64) as usize]))
            .collect()
    }

    /// `len` lower-case hex digits.
    pub fn hex(&mut self, len: usize) -> String {
        self.text(len, b"0123456789abcdef")
    }

    /// `len` characters of the alphabet Render's ids use.
    pub fn base32(&mut self, len: usize) -> String {
        self.text(len, b"0123456789abcdefghijklmnopqrstuv")
    }

    /// A version 4 UUID, the shape of a Netlify site id.
    pub fn uuid(&mut self) -> String {
        let h = self.hex(30);
        format!(
            "{}-{}-4{}-8{}-{}",
            &h[..8],
            &h[8..12],
            &h[12..15],
            &h[15..18],
            &h[18..]
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_ids_and_they_differ_from_each_other() {
        let (mut a, mut b) = (IdSource::new(7), IdSource::new(7));
        let first: Vec<_> = (0..1000).map(|_| a.base32(20)).collect();
        assert_eq!(first, (0..1000).map(|_| b.base32(20)).collect::<Vec<_>>());
        assert_eq!(
            first
                .iter()
                .collect::<std::collections::BTreeSet<_>>()
                .len(),
            1000
        );
        assert_ne!(IdSource::new(8).hex(24), IdSource::new(7).hex(24));
    }

    #[test]
    fn a_uuid_has_its_shape() {
        let uuid = IdSource::new(1).uuid();
        assert_eq!(
            uuid.split('-').map(str::len).collect::<Vec<_>>(),
            [8, 4, 4, 4, 12]
        );
    }
}
