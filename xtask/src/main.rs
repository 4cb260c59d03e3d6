//! The `xtask` program: everything is in the library, so that another repository's own xtask can be the same few lines.

use std::process::ExitCode;

fn main() -> ExitCode {
    tandem::cli::main()
}
