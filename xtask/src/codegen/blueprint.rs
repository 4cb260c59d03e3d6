//! `render.yaml`: the service as Render's Blueprint describes it, for whoever lets Render create it.

use crate::config::{Backend, Config, LOCAL, PRODUCTION, Rule};
use std::fmt::Write as _;

/// Where Render looks for it.
pub(super) const PATH: &str = "render.yaml";

/// The text below the first line.
pub(super) fn generate(config: &Config) -> String {
    let backend = &config.backend;
    let mut text = format!(
        "\
# A Blueprint creates the service once; deploys are Tandem's. Render never deletes what is missing here, and neither renames a
# service nor moves it to another region.
services:
  - type: web
    name: {name}
    runtime: {runtime}
    region: {region}
    plan: {plan}
{branch}    # Tandem triggers each deploy: one that starts by itself would undo a rollback.
    autoDeployTrigger: \"off\"
    buildCommand: {build}
    startCommand: {start}
    healthCheckPath: {health}
    maxShutdownDelaySeconds: {delay}
",
        name = quoted(&config.project),
        runtime = backend.runtime,
        region = backend.region,
        // Two words in a Blueprint, one in the API.
        plan = quoted(&backend.plan.replace('_', " ")),
        branch = branch(config),
        build = quoted(&backend.build),
        start = quoted(&backend.start),
        health = quoted(&backend.health),
        delay = backend.max_shutdown_delay_s,
    );
    text.push_str(&build_filter(backend));
    if let Some(disk) = &backend.disk {
        let _infallible = write!(
            text,
            "    # One instance, since it can be attached to one only.\n    disk:\n      name: {}\n      mountPath: {}\n      sizeGB: {}\n",
            quoted(&disk.name),
            quoted(&disk.mount_path),
            disk.size_gb
        );
    }
    text.push_str("    envVars:\n");
    for (name, value) in &backend.env {
        let _infallible = write!(
            text,
            "      - key: {name}\n        value: {}\n",
            quoted(value)
        );
    }
    text.push_str("      # Asked for when the service is created, and never here.\n      - key: TANDEM_ADMIN_TOKEN\n        sync: false\n");
    text
}

/// The branch that production is released from, when only one may be.
fn branch(config: &Config) -> String {
    let environments = &config.environments;
    let production = environments
        .iter()
        .find(|(name, _)| name.as_str() == PRODUCTION);
    let first = environments.iter().find(|(name, _)| name.as_str() != LOCAL);
    let branch = production
        .or(first)
        .and_then(|(_, environment)| environment.branch.as_deref());
    branch.map_or_else(String::new, |branch| {
        format!("    branch: {}\n", quoted(branch))
    })
}

/// The lane's files, for whoever turns automatic deploys on all the same. Status rules have no counterpart there, and neither
/// have patterns that take back: with one of those there is no filter.
fn build_filter(backend: &Backend) -> String {
    let patterns = backend.paths.iter().map(|rule| match rule {
        Rule::Pattern(pattern) if !pattern.starts_with('!') => Some(pattern),
        Rule::Pattern(_) | Rule::Status(_) => None,
    });
    let Some(patterns) = patterns.collect::<Option<Vec<&String>>>() else {
        return String::new();
    };
    let lines = patterns
        .into_iter()
        .map(|pattern| format!("        - {}\n", quoted(pattern)));
    format!(
        "    buildFilter:\n      paths:\n{}",
        lines.collect::<String>()
    )
}

/// In double quotes, where YAML escapes as JSON does: no value is ever read as a number, a boolean or an alias.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
