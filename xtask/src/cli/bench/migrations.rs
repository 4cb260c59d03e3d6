//! The migration engine, beside the sqlite3 command line and the migration tools that are installed. All of them apply the
//! same statements to databases of their own, in turns, so that what else the machine does concerns them alike.
//!
//! The engine is the optimised build that a server runs; this program's own copy of it, as it was compiled here, is
//! measured as well.

use super::super::app::{App, Failure, Project};
use super::Row;
use super::measure::{Cost, cost};
use super::program::environment;
use anyhow::{Context as _, Result};
use std::fmt::Write as _;
use std::path::PathBuf;
use tempfile::TempDir;

const ROUNDS: usize = 5;
const FILES: usize = 1000;
const ROWS: usize = 1_000_000;
/// What each database begins with, in front of the statements that sqlite3 is given: as durable as the engine is.
const PREAMBLE: &str =
    "PRAGMA foreign_keys = OFF;\nPRAGMA synchronous = EXTRA;\nBEGIN IMMEDIATE;\n";

/// Somebody who applies the files: a name, and a shell command for the database `$DB`.
struct Contender {
    name: &'static str,
    script: String,
}

pub(super) fn rows(
    app: &App<'_>,
    project: &Project,
    say: &dyn Fn(&str),
) -> Result<Vec<Row>, Failure> {
    let bench = Bench::new(app, project)?;
    if !bench.installed("sqlite3") {
        return Err(Failure::refused(
            "the sqlite3 command line is not installed, and it is what the engine is measured against (hint: `apt-get install sqlite3`)",
        ));
    }
    let mut rows = bench.small_files(say)?;
    say("a no-op, a populated database, a million rows");
    rows.push(bench.nothing_to_do()?);
    rows.push(bench.populated()?);
    rows.extend(bench.million_rows()?);
    say("a backup of 190 MB");
    rows.extend(bench.backup()?);
    Ok(rows)
}

struct Bench {
    dir: TempDir,
    env: Vec<(String, String)>,
    /// The engine, optimised.
    engine: PathBuf,
    /// This program.
    own: PathBuf,
}

impl Bench {
    fn new(app: &App<'_>, project: &Project) -> Result<Self> {
        let mut env = environment(app);
        let target = project.root.join("target");
        let build = [
            "cargo",
            "build",
            "--quiet",
            "--locked",
            "--release",
            "--package",
            "migrate",
            "--target-dir",
        ];
        let target_text = target
            .to_str()
            .context("the target folder is not Unicode")?;
        let _build = cost(&[&build[..], &[target_text]].concat(), &project.root, &env)?;
        let bench = Self {
            dir: tempfile::tempdir_in(&target).context("make a folder for databases")?,
            engine: target.join("release/migrate"),
            own: std::env::current_exe().context("find this program")?,
            env: Vec::new(),
        };
        env.retain(|(name, _)| name != "DATABASE_URL");
        env.push(("DB".to_owned(), bench.path("measured.db")));
        let bench = Self { env, ..bench };
        bench.write_files()?;
        Ok(bench)
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn installed(&self, program: &str) -> bool {
        self.shell(&format!("command -v {program}")).is_ok()
    }

    fn shell(&self, script: &str) -> Result<Cost> {
        cost(&["sh", "-c", script], self.dir.path(), &self.env)
    }

    /// The same thousand files in the layout of each tool, as one script, and one file with a million rows.
    fn write_files(&self) -> Result<()> {
        let root = self.dir.path();
        let mut script = PREAMBLE.to_owned();
        for number in 0..FILES {
            let text = small_file(number);
            script.push_str(&text);
            let put = |name: String, text: &str| -> Result<()> {
                let path = root.join(name);
                fs_err::create_dir_all(path.parent().context("a folder")?)?;
                Ok(fs_err::write(path, text)?)
            };
            put(format!("plain/{:04}_step.sql", number + 1), &text)?;
            put(format!("folders/{:04}_step/up.sql", number + 1), &text)?;
            put(
                format!("marked/{:04}_step.sql", number + 1),
                &format!("-- migrate:up\n{text}"),
            )?;
            put(format!("versions/V{}__step.sql", number + 1), &text)?;
        }
        script.push_str("COMMIT;\n");
        fs_err::write(root.join("plain.sql"), script)?;
        let million = format!(
            "CREATE TABLE big (id INTEGER PRIMARY KEY, name TEXT, n INTEGER);\n\
             WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < {ROWS}) INSERT INTO big (name, n) SELECT 'name ' || i, i * 7 FROM c;\n\
             CREATE INDEX big_by_name ON big (name);\n"
        );
        fs_err::create_dir_all(root.join("million"))?;
        fs_err::write(root.join("million/0001_million.sql"), &million)?;
        fs_err::write(
            root.join("million.sql"),
            format!("{PREAMBLE}{million}COMMIT;\n"),
        )?;
        Ok(())
    }

    /// Applies a folder with the engine.
    fn engine(&self, dir: &str) -> Contender {
        Contender {
            name: "the engine",
            script: format!(
                "exec '{}' --database \"$DB\" --dir {dir}",
                self.engine.display()
            ),
        }
    }

    /// The middle of some rounds for each contender, in turns, each round on what `begin` leaves.
    fn turns(&self, begin: &str, contenders: &[&Contender]) -> Result<Vec<Cost>> {
        let mut costs: Vec<Vec<Cost>> = contenders.iter().map(|_| Vec::new()).collect();
        for _round in 0..ROUNDS {
            for (contender, costs) in contenders.iter().zip(&mut costs) {
                let clean = format!("rm -rf \"$DB\" \"$DB\"-* \"$DB\".backups; {begin}");
                let _begin = self.shell(&clean)?;
                let cost = self
                    .shell(&contender.script)
                    .with_context(|| format!("measure {}", contender.name))?;
                costs.push(cost);
            }
        }
        costs.into_iter().map(middle).collect()
    }

    fn small_files(&self, say: &dyn Fn(&str)) -> Result<Vec<Row>> {
        let engine = self.engine("plain");
        let floor = sqlite3("plain");
        let own = Contender {
            name: "this program",
            script: format!(
                "exec '{}' migrate --database \"$DB\" --dir plain",
                self.own.display()
            ),
        };
        say("1,000 small files with the engine and with sqlite3");
        let costs = self.turns("true", &[&engine, &floor, &own])?;
        let [ours, theirs, here] = costs.as_slice() else {
            return Ok(Vec::new());
        };
        let against = "sqlite3, one transaction";
        let mut rows = vec![
            Row::new(
                "1,000 small files, new database",
                ours.wall_s,
                "s",
                against,
                theirs.wall_s,
                "≤ 1.0",
            ),
            Row::new(
                "its processor time",
                ours.cpu_s,
                "s",
                against,
                theirs.cpu_s,
                "",
            ),
            Row::new(
                "its peak memory",
                ours.peak_mb,
                "MB",
                against,
                theirs.peak_mb,
                "≤ 10 MB more",
            ),
            Row::new(
                "the same by this program",
                here.wall_s,
                "s",
                against,
                theirs.wall_s,
                "",
            ),
        ];
        rows.extend(self.syncs(&engine, &floor)?);
        for peer in self.peers() {
            say(&format!("1,000 small files with {}", peer.name));
            let costs = self.turns("true", &[&engine, &peer])?;
            let [ours, theirs] = costs.as_slice() else {
                continue;
            };
            let aim = if peer.name == "sqlx-cli" {
                "≤ 0.1"
            } else {
                "< 1"
            };
            rows.push(Row::new(
                "1,000 small files, new database",
                ours.wall_s,
                "s",
                peer.name,
                theirs.wall_s,
                aim,
            ));
        }
        Ok(rows)
    }

    /// How often each waits for the disk, as the kernel's tracer counts it; nothing where that is not installed.
    fn syncs(&self, engine: &Contender, floor: &Contender) -> Result<Option<Row>> {
        if !self.installed("strace") {
            return Ok(None);
        }
        let log = self.path("syncs.txt");
        let count = |contender: &Contender| -> Result<f64> {
            let script = contender.script.trim_start_matches("exec ");
            let _traced = self.shell(&format!(
                "rm -rf \"$DB\" \"$DB\"-* \"$DB\".backups; strace -f -qq -e trace=fsync,fdatasync -o '{log}' sh -c {}",
                quoted(script)
            ))?;
            let text = fs_err::read_to_string(&log)?;
            let calls = text.lines().filter(|line| line.contains("sync(")).count();
            Ok(u32::try_from(calls).map_or(f64::MAX, f64::from))
        };
        let (ours, theirs) = (count(engine)?, count(floor)?);
        Ok(Some(Row::new(
            "its fsyncs",
            ours,
            "calls",
            "sqlite3, one transaction",
            theirs,
            "≤ 10",
        )))
    }

    /// The other tools, as far as they are installed, each with the layout that it knows.
    fn peers(&self) -> Vec<Contender> {
        let peers = [
            (
                "sqlx",
                "sqlx-cli",
                "exec sqlx migrate run --source plain --database-url \"sqlite://$DB?mode=rwc\"",
            ),
            (
                "refinery",
                "refinery",
                "touch \"$DB\"; URL=\"sqlite://$DB\" exec refinery migrate -e URL -p versions",
            ),
            (
                "diesel",
                "diesel",
                "exec diesel migration run --database-url \"$DB\" --migration-dir folders",
            ),
            (
                "dbmate",
                "dbmate",
                "exec dbmate --url \"sqlite:$DB\" --migrations-dir marked --no-dump-schema up",
            ),
        ];
        peers
            .into_iter()
            .filter(|(program, ..)| self.installed(program))
            .map(|(_, name, script)| Contender {
                name,
                script: script.to_owned(),
            })
            .collect()
    }

    fn nothing_to_do(&self) -> Result<Row> {
        let engine = self.engine("plain");
        let look = Contender {
            name: "sqlite3",
            script: "exec sqlite3 \"$DB\" 'SELECT count(*) FROM migrations'".to_owned(),
        };
        let costs = self.turns(engine.script.trim_start_matches("exec "), &[&engine, &look])?;
        let wall = |index: usize| {
            costs
                .get(index)
                .map_or(f64::NAN, |cost: &Cost| cost.wall_s * 1e3)
        };
        Ok(Row::new(
            "1,000 files, nothing to do",
            wall(0),
            "ms",
            "sqlite3, one query",
            wall(1),
            "≤ 20 ms",
        ))
    }

    /// A table with rows is there, so a backup and a rehearsal come first.
    fn populated(&self) -> Result<Row> {
        let begin = "sqlite3 \"$DB\" \"CREATE TABLE busy (id INTEGER PRIMARY KEY, note TEXT); WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 10000) INSERT INTO busy (note) SELECT 'note ' || i FROM c\"";
        let costs = self.turns(begin, &[&self.engine("plain"), &sqlite3("plain")])?;
        let wall = |index: usize| costs.get(index).map_or(f64::NAN, |cost: &Cost| cost.wall_s);
        Ok(Row::new(
            "the same on a populated one, with backup and rehearsal",
            wall(0),
            "s",
            "sqlite3, one transaction",
            wall(1),
            "≤ 2.3",
        ))
    }

    fn million_rows(&self) -> Result<Vec<Row>> {
        let costs = self.turns("true", &[&self.engine("million"), &sqlite3("million")])?;
        let [ours, theirs] = costs.as_slice() else {
            return Ok(Vec::new());
        };
        let against = "sqlite3, one transaction";
        Ok(vec![
            Row::new(
                "1,000,000 rows and an index in one file",
                ours.wall_s,
                "s",
                against,
                theirs.wall_s,
                "≤ 1.05",
            ),
            Row::new(
                "its peak memory",
                ours.peak_mb,
                "MB",
                against,
                theirs.peak_mb,
                "≤ 10 MB more",
            ),
        ])
    }

    fn backup(&self) -> Result<Vec<Row>> {
        let begin = "sqlite3 \"$DB\" 'CREATE TABLE blobs (id INTEGER PRIMARY KEY, b BLOB); WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 95000) INSERT INTO blobs (b) SELECT randomblob(1900) FROM c'";
        let tool = |name, arguments: &str| Contender {
            name,
            script: format!(
                "exec '{}' --database \"$DB\" {arguments}",
                self.engine.display()
            ),
        };
        let copy = Contender {
            name: "cp",
            script: "exec cp \"$DB\" \"$DB\"-copy".to_owned(),
        };
        let (backup, check) = (
            tool("the backup", "--backup"),
            tool("the check", "--dir plain-none --verify=quick"),
        );
        fs_err::create_dir_all(self.dir.path().join("plain-none"))?;
        let costs = self.turns(begin, &[&backup, &check, &copy])?;
        let [backup, check, copy] = costs.as_slice() else {
            return Ok(Vec::new());
        };
        Ok(vec![
            Row::new(
                "a backup of 190 MB, checked and synced",
                backup.wall_s,
                "s",
                "cp",
                copy.wall_s,
                "≤ 0.6 s",
            ),
            Row::new(
                "its quick check and foreign keys alone",
                check.wall_s,
                "s",
                "cp",
                copy.wall_s,
                "≤ 0.25 s",
            ),
        ])
    }
}

/// The same statements by nothing but SQLite's own shell: as fast as it can be without losing durability.
fn sqlite3(name: &str) -> Contender {
    Contender {
        name: "sqlite3",
        script: format!("exec sqlite3 \"$DB\" < {name}.sql"),
    }
}

/// A table with an index, a new column, some rows, an update: what migrations are made of.
fn small_file(number: usize) -> String {
    let table = number / 4;
    let mut text = String::new();
    let _infallible = match number % 4 {
        0 => write!(
            text,
            "CREATE TABLE t{table} (id INTEGER PRIMARY KEY, name TEXT NOT NULL, made_at TEXT DEFAULT CURRENT_TIMESTAMP);\nCREATE INDEX t{table}_by_name ON t{table} (name);\n"
        ),
        1 => writeln!(
            text,
            "ALTER TABLE t{table} ADD COLUMN size INTEGER NOT NULL DEFAULT 0;"
        ),
        2 => writeln!(
            text,
            "INSERT INTO t{table} (name) VALUES ('one'), ('two'), ('three');"
        ),
        _ => writeln!(text, "UPDATE t{table} SET size = id WHERE name <> 'two';"),
    };
    text
}

/// The run in the middle by time, with the highest peak of them all.
fn middle(mut costs: Vec<Cost>) -> Result<Cost> {
    costs.sort_by(|a, b| a.wall_s.total_cmp(&b.wall_s));
    let peak_mb = costs.iter().map(|cost| cost.peak_mb).fold(0.0, f64::max);
    let cost = costs
        .get(costs.len() / 2)
        .copied()
        .context("nothing was measured")?;
    Ok(Cost { peak_mb, ..cost })
}

/// One word for `sh`.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_migrations_that_apply() {
        let files = (0..8)
            .map(|number| migrate::MigrationFile::new(format!("{number}.sql"), small_file(number)));
        let folder = tempfile::tempdir().unwrap();
        let migrator = migrate::Migrator::new(folder.path().join("a.db"), files.collect());
        assert_eq!(migrator.apply().unwrap().applied.len(), 8);
    }

    #[test]
    fn a_script_is_one_word() {
        assert_eq!(quoted("a 'b'"), "'a '\\''b'\\'''");
    }
}
