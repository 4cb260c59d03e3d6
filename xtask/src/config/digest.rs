//! Which settings are part of what a lane releases: changing one of them makes the lane run as changing a file does.

use super::Config;
use crate::changes::manifest::hex;
use crate::ids::Lane;
use sha2::{Digest as _, Sha256};

/// Goes into every digest; a new number makes every lane run once.
const FORMAT: &str = "lane settings 1";

impl Config {
    /// SHA-256, in hexadecimal, of the whole file's text.
    pub fn file_digest(&self) -> String {
        hex(&Sha256::digest(self.source.text()))
    }

    /// SHA-256, in hexadecimal, of the settings that shape a lane's build and run. Timeouts, limits and file patterns are
    /// not among them, and neither is `backend.local`: editing how the local cloud runs the service must not restart it
    /// in production.
    pub fn lane_digest(&self, lane: Lane) -> String {
        let mut digest = Settings(Sha256::new());
        digest.put("format", FORMAT);
        match lane {
            Lane::Frontend => {
                digest.put("publish", self.frontend.publish.trim_end_matches('/'));
                digest.put_option("build", self.frontend.build.as_deref());
                for pattern in &self.frontend.exclude {
                    digest.put("exclude", pattern);
                }
            }
            Lane::Backend => {
                digest.put("build", &self.backend.build);
                digest.put("start", &self.backend.start);
                digest.put_option("migrations", self.backend.migrations.as_deref());
                digest.put_option(
                    "mount_path",
                    self.backend
                        .disk
                        .as_ref()
                        .map(|disk| disk.mount_path.as_str()),
                );
                for (name, value) in &self.backend.env {
                    digest.put(&format!("env.{name}"), value);
                }
            }
        }
        digest.finish()
    }
}

struct Settings(Sha256);

impl Settings {
    /// Lengths stand before the texts, so that no two lists of settings give the same bytes.
    fn put(&mut self, key: &str, value: &str) {
        for text in [key, value] {
            self.0.update((text.len() as u64).to_be_bytes());
            self.0.update(text);
        }
    }

    fn put_option(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}
