//! Scripts for commits: how the build ends, how the process starts, and what it says about itself.

/// How a commit's build and processes behave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// How the build ends.
    pub build: Build,
    /// How long it takes.
    pub build_ms: i64,
    /// How a process starts.
    pub boot: Boot,
    /// How long that takes.
    pub boot_ms: i64,
    /// What a started process answers.
    pub health: Health,
    /// The migrations the binary carries, in order. It applies the missing ones when it starts.
    pub migrations: Vec<Migration>,
}

/// The end of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// Artifacts.
    Ok,
    /// Exit code 101.
    Fail,
}

/// The start of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boot {
    /// It listens.
    Ok,
    /// It exits.
    Crash {
        /// With this code.
        code: i32,
    },
    /// A migration fails and is rolled back, and it exits.
    MigrationFails,
    /// It migrates and then exits.
    CrashMigrated {
        /// With this code.
        code: i32,
    },
    /// It never listens.
    Hang,
}

/// What a process that listens says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// All is well.
    Healthy,
    /// 503 from the first answer on.
    Unhealthy503,
    /// All is well, but the commit is this one.
    WrongVersion(String),
    /// All is well, but there is no commit.
    NoVersion,
    /// Well and 503 by turns.
    Flapping {
        /// Length of one turn.
        period_ms: i64,
    },
    /// Well, and 503 from this long after it started on.
    DegradesAfter {
        /// How long it is well.
        ms: i64,
    },
}

/// A migration file as the binary carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Its name, which gives the order.
    pub filename: String,
    /// Over its content.
    pub checksum: String,
    /// May the previous release run on its schema?
    pub compatible: bool,
}

impl Behaviour {
    /// Builds in 3 s, boots in 1 s, is healthy, and carries `generation` compatible migrations (`0001_step.sql`, …).
    pub fn well(generation: u32) -> Self {
        let migrations = (1..=generation)
            .map(|n| Migration {
                filename: format!("{n:04}_step.sql"),
                checksum: crate::blobs::sha1_hex(format!("step {n}").as_bytes()),
                compatible: true,
            })
            .collect();
        Self {
            build: Build::Ok,
            build_ms: 3_000,
            boot: Boot::Ok,
            boot_ms: 1_000,
            health: Health::Healthy,
            migrations,
        }
    }

    /// The newest migration is not compatible with the release before it.
    #[must_use]
    pub fn incompatible(mut self) -> Self {
        if let Some(last) = self.migrations.last_mut() {
            last.compatible = false;
        }
        self
    }

    /// The build fails.
    #[must_use]
    pub const fn build_fails(mut self) -> Self {
        self.build = Build::Fail;
        self
    }

    /// Another start.
    #[must_use]
    pub const fn booting(mut self, boot: Boot) -> Self {
        self.boot = boot;
        self
    }

    /// Other answers.
    #[must_use]
    pub fn saying(mut self, health: Health) -> Self {
        self.health = health;
        self
    }
}
