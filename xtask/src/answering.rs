//! Who answers now at the two public addresses. "Nothing to do", and "as it was", are said of what answers, not of what is recorded.

use crate::contract::{Contract, Standing};
use crate::event::{EventKind, Step};
use crate::ids::{Commit, Lane, ReleaseId};
use crate::lane::verify::RELEASE_FILE;
use crate::run::Session;
use crate::service::{self, Identity, PublicFile, Service, SiteAddress};
use crate::world::World;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Looks before an answer that is not as it should be is believed: one lost answer is the network's.
const LOOKS: u32 = 3;
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// A first answer that took longer was a service that woke up.
const WOKE_MS: u64 = 5_000;

/// What should answer.
pub struct Expected<'e> {
    /// The service.
    pub service: Option<ExpectedService<'e>>,
    /// The release that put the site where it is.
    pub site: Option<&'e ReleaseId>,
}

/// What the service should answer as.
pub struct ExpectedService<'e> {
    /// This commit.
    pub commit: &'e Commit,
    /// Judged by this.
    pub contract: &'e Contract,
    /// Whether the provider lets it sleep when it is idle.
    pub sleeps: bool,
}

/// Asks both halves side by side, as far as something should answer there.
pub fn ask(session: &Session<'_>, expected: &Expected<'_>) -> BTreeMap<Lane, Standing> {
    let found = Mutex::new(BTreeMap::new());
    let put = |lane, standing| {
        found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(lane, standing);
    };
    session.world.lanes(2, &|index| match index {
        0 => {
            if let Some(release) = expected.site {
                put(Lane::Frontend, site(session, release));
            }
        }
        _ => {
            if let Some(expected) = &expected.service {
                put(Lane::Backend, service(session, expected));
            }
        }
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn service(session: &Session<'_>, expected: &ExpectedService<'_>) -> Standing {
    let world = session.world;
    let url = &session.target.service_url;
    let service = Service::new(world, url, expected.contract);
    if expected.sleeps {
        wake(world, &service);
    }
    settled(world, || judge(&service.identity(expected.commit), url))
}

/// The provider stops such a service when nobody asks it, and starts it with the first question.
fn wake(world: &dyn World, service: &Service<'_>) {
    let started_ms = world.now().mono_ms;
    world.emit(EventKind::StepProgress {
        step: Step::Preflight,
        text: "wakes the service, which sleeps when it is idle (plan free)".to_owned(),
    });
    service.wake();
    let took_ms = world.now().mono_ms.saturating_sub(started_ms);
    if took_ms >= WOKE_MS {
        world.emit(EventKind::Note {
            text: format!(
                "the service was asleep (plan free) and took {} s to answer",
                took_ms / 1000
            ),
        });
    }
}

/// Looks until it is well, a few times.
fn settled(world: &dyn World, look: impl Fn() -> Standing) -> Standing {
    let mut standing = look();
    for _ in 1..LOOKS {
        if standing == Standing::Well || world.sleep(PAUSE).is_err() {
            break;
        }
        standing = look();
    }
    standing
}

/// What an answer of the service means for what is recorded of it.
fn judge(identity: &Identity, url: &str) -> Standing {
    match identity {
        Identity::Ours { .. } => Standing::Well,
        Identity::Other(_) | Identity::Unhealthy { .. } | Identity::Away(_) => {
            Standing::Ill(identity.to_string())
        }
        Identity::NoVersion(_) | Identity::Elsewhere(_) | Identity::AuthWall => {
            Standing::Unclear(format!(
                "who answers at {url} cannot be told: {identity} (hint: is that the service's address? SERVICE_URL and deploy.toml name it, and `health`, `version` and `identity` under [backend] say what is asked; --anyway REASON releases all the same)"
            ))
        }
    }
}

fn site(session: &Session<'_>, release: &ReleaseId) -> Standing {
    let address = SiteAddress::public(&session.target.site_url);
    settled(session.world, || {
        match service::site_file(session.world, &address, RELEASE_FILE, 0, &|| {}) {
            Ok(file) => judge_site(&file, release),
            Err(error) => Standing::Ill(format!("the public site does not answer: {error}")),
        }
    })
}

fn judge_site(file: &PublicFile, release: &ReleaseId) -> Standing {
    #[derive(Deserialize)]
    struct Said {
        release: ReleaseId,
    }
    match serde_json::from_slice::<Said>(&file.body) {
        Ok(said) if file.status == 200 && said.release == *release => Standing::Well,
        Ok(said) if file.status == 200 => Standing::Ill(format!(
            "the public site is of release {}, {release} is recorded",
            said.release
        )),
        _ if file.status == 200 => Standing::Ill(format!(
            "the public site does not say which release it is: {RELEASE_FILE} cannot be read"
        )),
        _ => Standing::Ill(format!(
            "the public site answers {} for {RELEASE_FILE}",
            file.status
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ill_service_is_mended_and_a_stranger_is_not() {
        let commit = Commit("a".repeat(40));
        let url = "https://shop.example";
        assert_eq!(
            judge(&Identity::Ours { warning: None }, url),
            Standing::Well
        );
        let ill = [
            Identity::Other(commit),
            Identity::Unhealthy {
                status: 503,
                text: String::new(),
            },
            Identity::Away("refused".to_owned()),
        ];
        for identity in ill {
            let standing = judge(&identity, url);
            assert_eq!(standing, Standing::Ill(identity.to_string()));
        }
        let unclear = [
            Identity::NoVersion("/v answers 404".to_owned()),
            Identity::Elsewhere("a page for people answers at /".to_owned()),
            Identity::AuthWall,
        ];
        for identity in unclear {
            let Standing::Unclear(text) = judge(&identity, url) else {
                panic!("{identity} is not clear")
            };
            assert!(text.contains(&identity.to_string()) && text.contains(url));
        }
    }

    #[test]
    fn a_site_is_held_against_its_recorded_release() {
        let file = |status, body: &str| PublicFile {
            status,
            sha1: String::new(),
            size: body.len() as u64,
            age_s: None,
            body: body.as_bytes().to_vec(),
            headers: http::HeaderMap::new(),
        };
        let release = ReleaseId::from("20260101T000000Z-abc1234-0001");
        let own = format!(r#"{{"release":"{release}","commit":"c"}}"#);
        assert_eq!(judge_site(&file(200, &own), &release), Standing::Well);
        for (status, body, why) in [
            (503, own.as_str(), "answers 503"),
            (404, "", "answers 404"),
            (200, "<html>", "does not say which release"),
            (200, r#"{"release":"other"}"#, "is of release other"),
        ] {
            let Standing::Ill(text) = judge_site(&file(status, body), &release) else {
                panic!("{body} is well")
            };
            assert!(text.contains(why), "{text}");
        }
    }
}
