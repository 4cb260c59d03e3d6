# The files that builds and tests read, and no others, so that nothing else causes a rebuild.
# Every path stands in full: tests/hermetic.rs compares this list with what is in the repository.
{ lib }:
let
  inherit (lib.fileset) maybeMissing toSource unions;
in
toSource {
  root = ../.;
  fileset = unions [
    # What cargo builds, and how.
    ../.cargo
    ../Cargo.lock
    ../Cargo.toml
    ../backend
    ../fuzz
    ../migrations
    ../rust-toolchain.toml
    ../tests
    ../xtask

    # What is released, and what the tests release.
    ../deploy.toml
    ../frontend
    ../render.yaml

    # What the tests hold against the rest: pins, pipelines, rules, documents.
    ../.ci
    ../.gitattributes
    ../.github
    ../.gitignore
    ../LICENSE-APACHE
    ../LICENSE-MIT
    ../README.md
    ../flake.lock
    ../flake.nix
    ../nix
    (maybeMissing ../ARCHITECTURE.md)
    (maybeMissing ../CHANGELOG.md)
    (maybeMissing ../CONTRIBUTING.md)
    (maybeMissing ../SECURITY.md)
    (maybeMissing ../docs)
  ];
}
