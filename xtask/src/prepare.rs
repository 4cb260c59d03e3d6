//! The first half of a release on its own: checks and build, without a provider, a lease or a credential. What it leaves is a
//! bundle, which `deploy --bundle` releases without running any of these commands again.

use crate::bundle::{self, FileDigest, Manifest};
use crate::config::Config;
use crate::event::EventKind;
use crate::ids::Lane;
use crate::inputs::BuiltSite;
use crate::job::{Commands, LaneError, Task, side_by_side};
use crate::lane::checks::{Passed, Workshop};
use crate::source::SourceTree;
use crate::world::World;
use std::collections::BTreeMap;
use std::path::Path;

/// What is to be prepared.
pub struct Preparing<'a> {
    /// Everything outside.
    pub world: &'a dyn World,
    /// deploy.toml.
    pub config: &'a Config,
    /// How to run its commands.
    pub commands: &'a Commands,
    /// The commit.
    pub source: &'a SourceTree,
    /// The lanes; none when only checks are run.
    pub lanes: &'a [Lane],
    /// Where the site's build leaves its files.
    pub site: &'a dyn BuiltSite,
}

impl Preparing<'_> {
    /// Runs the checks and the build side by side, and writes the bundle to `out` when all of that is green.
    ///
    /// # Errors
    /// When a command fails, or the bundle cannot be written. Then there is none.
    pub fn bundle(&self, out: &Path) -> Result<Manifest, LaneError> {
        let nothing_to_keep = || Ok(());
        let workshop = Workshop {
            world: self.world,
            config: self.config,
            commands: self.commands,
            keep: &nothing_to_keep,
        };
        let builds = self.lanes.contains(&Lane::Frontend);
        let mut tasks: Vec<Task<'_, Vec<Passed>>> = vec![Box::new(|| workshop.checks())];
        if builds {
            tasks.push(Box::new(|| workshop.build_site().map(|()| Vec::new())));
        }
        let passed = side_by_side(self.world, &tasks)?.concat();
        let files = if builds {
            self.digests()?
        } else {
            BTreeMap::new()
        };
        let manifest = Manifest::new(self.config, self.source, self.lanes, &passed, files);
        bundle::write(out, &manifest, self.site)?;
        self.world.emit(EventKind::Note {
            text: format!(
                "the bundle of {} is in {}",
                self.source.commit.short(),
                out.display()
            ),
        });
        Ok(manifest)
    }

    fn digests(&self) -> Result<BTreeMap<String, FileDigest>, LaneError> {
        let mut files = BTreeMap::new();
        for path in self.site.paths()? {
            let digest = FileDigest::of(&self.site.read(&path)?);
            files.insert(path, digest);
        }
        Ok(files)
    }
}
