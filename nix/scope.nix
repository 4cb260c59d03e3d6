# Everything the flake offers for one system.
{
  lib,
  pkgs,
  rust-overlay,
  crane,
  # The full id of the commit that is built; null when there are uncommitted changes.
  commit,
}:
let
  source = import ./source.nix { inherit lib; };
  inherit ((lib.importTOML ../Cargo.toml).workspace.package) version;

  # rust-toolchain.toml is the one place that names a Rust version, for rustup and for Nix.
  toolchain = (rust-overlay.lib.mkRustBin { } pkgs).fromRustupToolchainFile ../rust-toolchain.toml;
  # Editors need the standard library's source; builds would only carry it around.
  shellToolchain = toolchain.override (previous: {
    extensions = (previous.extensions or [ ]) ++ [
      "rust-analyzer"
      "rust-src"
    ];
  });

  # crane compiles a helper of its own by rustPlatform, which would bring a second Rust along.
  craneLib = ((crane.mkLib pkgs).overrideToolchain toolchain).overrideScope (
    _: _: {
      rustPlatform = pkgs.makeRustPlatform {
        cargo = toolchain;
        rustc = toolchain;
      };
    }
  );

  common = {
    pname = "tandem";
    inherit version;
    src = source;
    # Also keeps the tools of one derivation out of the search path of pkg-config, whose change would rebuild SQLite's bindings.
    strictDeps = true;
    nativeBuildInputs = [ pkgs.pkg-config ];
    buildInputs = [ pkgs.sqlite ];
    # The SQLite pinned here in place of the bundled one.
    env.LIBSQLITE3_SYS_USE_PKG_CONFIG = "1";
  };

  # What is released is optimised; its tests are a check of their own, below.
  released = common // {
    CARGO_PROFILE = "release";
    doCheck = false;
  };
  releasedDependencies = craneLib.buildDepsOnly released;
  release =
    crate: binary: env:
    craneLib.buildPackage (
      released
      // {
        cargoArtifacts = releasedDependencies;
        pname = binary;
        cargoExtraArgs = "--locked --package ${crate} --bin ${binary}";
        env = common.env // env;
        meta.mainProgram = binary;
      }
    );

  # What is tested is what `cargo test` tests everywhere else.
  tested = common // {
    CARGO_PROFILE = "dev";
    cargoExtraArgs = "--locked --workspace";
    # Nothing builds on what a check compiled.
    doInstallCargoArtifacts = false;
  };
  testedDependencies = craneLib.buildDepsOnly tested;

  xtask = release "tandem" "xtask" { };

  # A release is verified by asking the running service for its commit, so the binary must know it. Without one it starts
  # only where the platform states the commit.
  backend = release "backend" "backend" (
    lib.optionalAttrs (commit != null) { TANDEM_COMMIT = commit; }
  );

  # The migrator in front of a service in any language: one file without shared libraries, by way of musl, with the SQLite that
  # libsqlite3-sys brings along. A C compiler for that target compiles and links it.
  muslTarget = "${pkgs.stdenv.hostPlatform.parsed.cpu.name}-unknown-linux-musl";
  muslVariable = lib.replaceStrings [ "-" ] [ "_" ] muslTarget;
  muslCompiler = "${pkgs.pkgsStatic.stdenv.cc}/bin/${pkgs.pkgsStatic.stdenv.cc.targetPrefix}cc";
  migrate =
    (craneLib.overrideToolchain (toolchain.override { targets = [ muslTarget ]; })).buildPackage
      {
        pname = "migrate";
        inherit version;
        src = source;
        strictDeps = true;
        doCheck = false;
        CARGO_PROFILE = "release";
        cargoExtraArgs = "--locked --package migrate --bin migrate";
        env = {
          CARGO_BUILD_TARGET = muslTarget;
          "CC_${muslVariable}" = muslCompiler;
          "CARGO_TARGET_${lib.toUpper muslVariable}_LINKER" = muslCompiler;
          CARGO_BUILD_RUSTFLAGS = "-C target-feature=+crt-static";
        };
        meta.mainProgram = "migrate";
      };

  # For services that run a ready-made image: `$(nix build --no-link --print-out-paths .#image) | docker load`.
  image = pkgs.dockerTools.streamLayeredImage {
    name = "tandem-backend";
    tag = if commit == null then "uncommitted" else commit;
    # Migrations are rehearsed on a copy of the database below the folder for temporary files.
    extraCommands = "mkdir -m 1777 tmp";
    config = {
      Entrypoint = [ (lib.getExe backend) ];
      Labels = lib.optionalAttrs (commit != null) {
        "org.opencontainers.image.revision" = commit;
      };
    };
  };

  # Read without building anything: `nix eval --raw .#packages.x86_64-linux.pins.text`.
  pins = pkgs.writeText "pins.json" (
    builtins.toJSON {
      curl = pkgs.curl.version;
      rust = (lib.importTOML ../rust-toolchain.toml).toolchain.channel;
      sqlite = pkgs.sqlite.version;
    }
  );

  checks = {
    fmt = craneLib.cargoFmt {
      inherit (common) pname version src;
      cargoExtraArgs = "--all";
    };

    clippy = craneLib.cargoClippy (
      tested
      // {
        cargoArtifacts = testedDependencies;
        cargoClippyExtraArgs = "--all-targets -- --deny warnings";
      }
    );

    test = craneLib.cargoTest (
      tested
      // {
        cargoArtifacts = testedDependencies;
        # The tests release to a local cloud, which needs git, and look at what it serves from outside.
        nativeBuildInputs = common.nativeBuildInputs ++ [
          pkgs.curl
          pkgs.git
          pkgs.nodejs
        ];
        preCheck = ''
          export HOME="$TMPDIR"
        '';
        # They talk over the loopback interface, which only macOS forbids otherwise.
        __darwinAllowLocalNetworking = true;
      }
    );

    # Without advisories: their database changes by the day and is asked by a scheduled job.
    deny = craneLib.cargoDeny { inherit (common) pname version src; };

    # The programs themselves say what the evaluation promised.
    pins =
      pkgs.runCommand "tandem-pins"
        {
          nativeBuildInputs = [
            pkgs.curl
            pkgs.jq
            pkgs.sqlite
            toolchain
          ];
        }
        ''
          jq --null-input --sort-keys '$ARGS.named' \
            --arg curl "$(curl --version | awk 'NR == 1 { print $2 }')" \
            --arg rust "$(rustc --version | awk '{ print $2 }')" \
            --arg sqlite "$(sqlite3 --version | awk '{ print $1 }')" \
            >found.json
          jq --sort-keys . ${pins} >promised.json
          diff --unified promised.json found.json
          tee "$out" <found.json
        '';

    workflows =
      pkgs.runCommand "tandem-workflows"
        {
          nativeBuildInputs = [
            pkgs.check-jsonschema
            pkgs.zizmor
          ];
        }
        ''
          export HOME="$TMPDIR"
          zizmor --offline --no-progress --strict-collection --persona pedantic ${source}/.github
          check-jsonschema --builtin-schema vendor.github-workflows ${source}/.github/workflows/*.yml
          check-jsonschema --builtin-schema vendor.dependabot ${source}/.github/dependabot.yml
          touch "$out"
        '';
  };
in
{
  packages = {
    inherit xtask backend pins;
  }
  // lib.optionalAttrs pkgs.stdenv.hostPlatform.isLinux { inherit image; }
  // lib.optionalAttrs (pkgs.stdenv.hostPlatform.isLinux && pkgs ? pkgsStatic) { inherit migrate; };

  inherit checks;

  devShells.default = (craneLib.overrideToolchain shellToolchain).devShell {
    # With what each of them needs: pkg-config, the linters, git.
    inherit checks;
    packages = [
      pkgs.cargo-deny
      pkgs.cargo-insta
      pkgs.cargo-nextest
      pkgs.curl
      pkgs.nodejs
      pkgs.sqlite
    ];
    env = common.env // {
      # `cargo xtask doctor` compares what is in use with it.
      TANDEM_PINS = "${pins}";
      RUST_SRC_PATH = "${shellToolchain}/lib/rustlib/src/rust/library";
    };
  };

  apps.default = {
    type = "app";
    program = lib.getExe xtask;
    meta.description = "cargo xtask, built by Nix";
  };

  formatter = pkgs.nixfmt-tree;
}
