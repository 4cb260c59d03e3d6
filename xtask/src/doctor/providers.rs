//! What the two providers say: whether they accept the credential, see what is configured, and are set up as a release needs it.

use super::{Area, Finding, Level};
use crate::config::{Config, Target};
use crate::credentials::CredentialName;
use crate::facts::{self, Objection};
use crate::http::{ApiError, Page};
use crate::ids::Lane;
use crate::netlify::Site;
use crate::render::ServiceInfo;
use crate::service::AdminState;
use crate::site_rules::SiteRules;

/// A database's disk with less than a tenth left is worth a word, unless that is plenty.
const FREE_MIN_PERCENT: u64 = 10;
const FREE_PLENTY_BYTES: u64 = 1 << 30;

/// The site.
pub fn site(target: &Target, answer: &Result<Page<Site>, ApiError>) -> Vec<Finding> {
    let site = match answer {
        Ok(page) => &page.value,
        Err(error) => return vec![refused(target, error, Lane::Frontend)],
    };
    let mut findings = vec![accepted(
        CredentialName::NetlifyAuthToken,
        site.id.as_str(),
        site.name.as_deref(),
    )];
    let objections = facts::to_site(&target.policy, site).into_iter().collect();
    findings.extend(settings(Area::Frontend, objections));
    findings
}

/// The service.
pub fn service(
    config: &Config,
    target: &Target,
    answer: &Result<ServiceInfo, ApiError>,
) -> Vec<Finding> {
    let service = match answer {
        Ok(service) => service,
        Err(error) => return vec![refused(target, error, Lane::Backend)],
    };
    let mut findings = vec![accepted(
        CredentialName::RenderApiKey,
        service.id.as_str(),
        service.name.as_deref(),
    )];
    let objections = facts::to_service(config, target, service);
    findings.extend(settings(Area::Backend, objections));
    let health = service.service_details.health_check_path.as_deref();
    if let Some(path) = health.filter(|path| !path.is_empty() && *path != config.backend.health) {
        let text = format!(
            "the provider judges the service by {path}, deploy.toml says {} (hint: make them the same)",
            config.backend.health
        );
        findings.push(Finding::new(
            Area::Backend,
            "health check",
            Level::Warning,
            text,
        ));
    }
    findings
}

/// The running service's own state, as its administration endpoint tells it.
pub fn admin(answer: &Result<AdminState, ApiError>) -> Vec<Finding> {
    let name = CredentialName::TandemAdminToken.variable();
    let state = match answer {
        Ok(state) => state,
        Err(ApiError::NotFound(_)) => {
            let text = "the service has no administration endpoint (`backend.admin` names it), or does not know TANDEM_ADMIN_TOKEN: migrations are not rehearsed on the live schema and not read back".to_owned();
            return vec![Finding::new(Area::Backend, "schema", Level::Warning, text)];
        }
        Err(error @ (ApiError::Unauthorised(_) | ApiError::Forbidden(_))) => {
            let text = format!(
                "{error}: the service does not accept {name} (hint: set the same value here and there)"
            );
            return vec![Finding::new(Area::Credentials, name, Level::Error, text)];
        }
        Err(error) => {
            let text = format!("the service could not be asked: {error}");
            return vec![Finding::new(Area::Backend, "service", Level::Warning, text)];
        }
    };
    let schema = format!(
        "generation {}, {} pending in what runs",
        state.schema.generation,
        state.pending.len()
    );
    let mut findings = vec![
        Finding::new(
            Area::Credentials,
            name,
            Level::Ok,
            "is accepted by the service",
        ),
        Finding::new(Area::Backend, "schema", Level::Ok, schema),
    ];
    if let Some(disk) = &state.disk {
        let percent = disk.free_bytes.saturating_mul(100) / disk.total_bytes.max(1);
        let is_low = percent < FREE_MIN_PERCENT && disk.free_bytes < FREE_PLENTY_BYTES;
        let (level, hint) = if is_low {
            (
                Level::Warning,
                " (hint: enlarge the disk; it can only grow)",
            )
        } else {
            (Level::Ok, "")
        };
        let text = format!("{percent} % of the database's disk is free{hint}");
        findings.push(Finding::new(Area::Backend, "database", level, text));
    }
    findings
}

fn accepted(credential: CredentialName, id: &str, name: Option<&str>) -> Finding {
    let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
    let text = format!("is accepted, and sees {id}{name}");
    Finding::new(Area::Credentials, credential.variable(), Level::Ok, text)
}

fn refused(target: &Target, error: &ApiError, lane: Lane) -> Finding {
    let (credential, area) = match lane {
        Lane::Frontend => (CredentialName::NetlifyAuthToken, Area::Frontend),
        Lane::Backend => (CredentialName::RenderApiKey, Area::Backend),
    };
    let text = facts::explain(target, error, lane);
    match error {
        ApiError::Unauthorised(_) | ApiError::Forbidden(_) | ApiError::NotFound(_) => {
            Finding::new(Area::Credentials, credential.variable(), Level::Error, text)
        }
        _ => Finding::new(area, "provider", Level::Error, text),
    }
}

/// The site's rules, as far as they are known before the site is built.
pub fn rules(rules: &SiteRules, is_first: bool) -> Vec<Finding> {
    let objections = facts::to_rules(rules, is_first);
    if !objections.is_empty() {
        return settings(Area::Frontend, objections);
    }
    let text = format!(
        "{} redirect(s) and {} block(s) of headers, each in effect",
        rules.redirects.len(),
        rules.headers.len()
    );
    vec![Finding::new(Area::Frontend, "rules", Level::Ok, text)]
}

fn settings(area: Area, objections: Vec<Objection>) -> Vec<Finding> {
    if objections.is_empty() {
        return vec![Finding::new(
            area,
            "settings",
            Level::Ok,
            "as a release needs them",
        )];
    }
    let finding = |objection: Objection| {
        let level = if objection.stops {
            Level::Error
        } else {
            Level::Warning
        };
        Finding::new(area, objection.about, level, objection.text)
    };
    objections.into_iter().map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LocalCloud;
    use crate::environ::Environ;
    use crate::ids::{ServiceId, SiteId};
    use crate::service::{AdminSchema, DiskSpace};
    use std::path::Path;

    const CONFIG: &str = "project = \"shop\"\n[frontend]\npaths = [\"site/**\"]\npublish = \"site\"\n[backend]\npaths = [\"service/**\"]\nbuild = \"make\"\nstart = \"./service\"\n[backend.disk]\nname = \"data\"\nmount_path = \"/var/data\"\nsize_gb = 1\n";

    fn config() -> Config {
        Config::load(Path::new("deploy.toml"), CONFIG).unwrap()
    }

    fn target(config: &Config) -> Target {
        let cloud = LocalCloud {
            netlify_api: "http://127.0.0.1:1/api/v1".to_owned(),
            render_api: "http://127.0.0.1:1/v1/".to_owned(),
            site_id: SiteId::from("site"),
            service_id: ServiceId::from("srv-1"),
            site_url: "http://127.0.0.1:1".to_owned(),
            service_url: "http://127.0.0.1:1".to_owned(),
        };
        Target::resolve(config, &"local".into(), &Environ::default(), Some(&cloud)).unwrap()
    }

    fn service_of(json: serde_json::Value) -> Vec<(String, Level)> {
        let config = config();
        let info: ServiceInfo = serde_json::from_value(json).unwrap();
        let findings = service(&config, &target(&config), &Ok(info));
        findings
            .into_iter()
            .map(|finding| (finding.name, finding.level))
            .collect()
    }

    #[test]
    fn drift_of_the_service_is_found() {
        let good = serde_json::json!({
            "id": "srv-1", "autoDeployTrigger": "off", "suspended": "not_suspended",
            "serviceDetails": { "healthCheckPath": "/api/health", "disk": { "mountPath": "/var/data" } }
        });
        let key = |level| ("RENDER_API_KEY".to_owned(), level);
        assert_eq!(
            service_of(good),
            [key(Level::Ok), ("settings".to_owned(), Level::Ok)]
        );
        let bad = serde_json::json!({
            "id": "srv-1", "autoDeploy": "yes", "suspended": "suspended",
            "serviceDetails": { "healthCheckPath": "/" }
        });
        let found = [
            ("service", Level::Error),
            ("auto-deploy", Level::Warning),
            ("disk", Level::Error),
            ("health check", Level::Warning),
        ];
        let expected: Vec<(String, Level)> = std::iter::once(key(Level::Ok))
            .chain(found.map(|(name, level)| (name.to_owned(), level)))
            .collect();
        assert_eq!(service_of(bad), expected);
    }

    #[test]
    fn a_site_that_builds_on_push_is_a_warning() {
        let config = config();
        let json = serde_json::json!({ "id": "site", "build_settings": { "repo_url": "https://example.org/shop" } });
        let page = Page {
            value: serde_json::from_value(json).unwrap(),
            headers: http::HeaderMap::new(),
        };
        let findings = site(&target(&config), &Ok(page));
        let levels: Vec<(&str, Level)> = findings
            .iter()
            .map(|finding| (finding.name.as_str(), finding.level))
            .collect();
        assert_eq!(
            levels,
            [
                ("NETLIFY_AUTH_TOKEN", Level::Ok),
                ("builds on push", Level::Warning)
            ]
        );
    }

    #[test]
    fn a_database_disk_that_fills_up_is_a_warning() {
        let state = |free_bytes, total_bytes| AdminState {
            commit: Some("c".into()),
            schema: AdminSchema {
                generation: 3,
                definitions: Vec::new(),
            },
            history: Vec::new(),
            pending: Vec::new(),
            sqlite_version: None,
            disk: Some(DiskSpace {
                path: None,
                free_bytes,
                total_bytes,
            }),
            backups: Vec::new(),
        };
        let level = |free, total| admin(&Ok(state(free, total))).pop().unwrap().level;
        assert_eq!(
            (level(99, 1000), level(100, 1000)),
            (Level::Warning, Level::Ok)
        );
        assert_eq!(level(2 << 30, 100 << 30), Level::Ok, "2 GiB are plenty");
    }
}
