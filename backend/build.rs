//! Embeds the migration files into the binary, because on Render nothing but the running
//! instance sees the disk: what the binary does not carry cannot be applied there.

use std::{env, error::Error, fmt::Write as _, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let manifest_dir = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let migrations = manifest_dir.join("../migrations").canonicalize()?;
    // The directory itself, so that an added or removed file rebuilds as well.
    // Relative, so that a build folder that was copied looks at the files of its own tree.
    println!("cargo::rerun-if-changed=../migrations");

    let directory = migrations
        .to_str()
        .ok_or("the path of migrations/ is not UTF-8")?;
    let pattern = format!("{}/*.sql", glob::Pattern::escape(directory));
    let mut source = String::from("&[\n");
    for path in glob::glob(&pattern)? {
        let path = path?;
        let name = path.file_name().ok_or("a migration without a file name")?;
        let name = name
            .to_str()
            .ok_or("a migration's file name is not UTF-8")?;
        println!("cargo::rerun-if-changed=../migrations/{name}");
        // No absolute path in the text: debug information carries its digest, and two folders must give the same program.
        let below = format!("/../migrations/{name}");
        writeln!(
            source,
            "    ({name:?}, include_bytes!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {below:?}))),"
        )?;
    }
    source.push_str("]\n");
    fs_err::write(
        PathBuf::from(variable("OUT_DIR")?).join("migrations.rs"),
        source,
    )?;
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "Cargo talks to build scripts through the environment"
)]
fn variable(name: &str) -> Result<String, Box<dyn Error>> {
    Ok(env::var(name).map_err(|error| format!("{name}: {error}"))?)
}
