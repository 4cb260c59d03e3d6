//! Patterns of lane filters: whatever the text, compiling and matching end without a panic, and the search that follows all
//! possibilities at once gives the answer that trying one after the other gives.
//!
//! The matcher is included as source, not through its package: it depends on nothing, and the package on much.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[expect(
    dead_code,
    reason = "the matcher is included whole, only a part of it is called"
)]
#[path = "../../xtask/changes/src/glob/mod.rs"]
mod glob;

// A pattern, a line end, a path.
fuzz_target!(|text: &str| {
    let (pattern, path) = text.split_once('\n').unwrap_or((text, "src/a.b"));
    let Ok(compiled) = glob::Pattern::compile(pattern) else {
        return;
    };
    assert_eq!(
        compiled.decide(pattern),
        Ok(true),
        "a pattern matches its own text"
    );
    let (Ok(answer), Ok(slow)) = (compiled.decide(path), compiled.decide_slowly(path)) else {
        return;
    };
    assert_eq!(answer, slow, "{pattern:?} on {path:?}");
});
