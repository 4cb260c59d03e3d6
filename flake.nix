# Pins Rust, SQLite, curl and every tool of CI, so that all machines build and test with the same ones.
# Nothing needs Nix to be built, tested or released: plain cargo does all of it.
{
  description = "Tandem releases a web frontend and its backend as one release";

  inputs = {
    # The unstable branch, because the stable one carries an SQLite that can corrupt a database when its log is reset (fixed in 3.51.3).
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    rust-overlay = {
      url = "github:oxalica/rust-overlay";
      inputs.nixpkgs.follows = "nixpkgs";
    };
    crane.url = "github:ipetkov/crane";
  };

  outputs =
    {
      self,
      nixpkgs,
      rust-overlay,
      crane,
    }:
    let
      inherit (nixpkgs) lib;

      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "aarch64-darwin"
      ];

      # Everything for one system is made in one place; the outputs below only pick from it.
      scopes = lib.genAttrs systems (
        system:
        import ./nix/scope.nix {
          inherit lib rust-overlay crane;
          pkgs = nixpkgs.legacyPackages.${system};
          # A tree with uncommitted changes has no commit, and a backend built from it must not claim one.
          commit = self.rev or null;
        }
      );
      pick = output: lib.mapAttrs (_: scope: scope.${output}) scopes;
    in
    lib.genAttrs [
      "packages"
      "checks"
      "devShells"
      "apps"
      "formatter"
    ] pick;
}
