//! What speaks against a release, put together: `deploy` obeys it, `plan` shows it.

use super::{Objection, Observed, to_rules, to_service, to_site, unfit_source};
use crate::contract::Standing;
use crate::event::EventKind;
use crate::forwards;
use crate::ids::Lane;
use crate::job::LaneError;
use crate::lane::smoke;
use crate::plan::{Plan, Remarks};
use crate::run::{Options, Session};
use crate::site_rules::SiteRules;

/// What speaks against a release: what stops it, the first first, and what is only worth knowing.
#[derive(Debug, Default)]
pub struct Judged {
    /// Each stops it.
    pub refusals: Vec<LaneError>,
    /// Each is said.
    pub warnings: Vec<String>,
}

impl Judged {
    /// As text.
    pub fn remarks(&self) -> Remarks {
        Remarks {
            refusals: self.refusals.iter().map(ToString::to_string).collect(),
            warnings: self.warnings.clone(),
        }
    }
}

/// Judges a release before anything is created. `deploy` obeys it, `plan` shows it.
pub fn judge(
    session: &Session<'_>,
    options: &Options,
    observed: &Observed,
    planned: &Plan,
) -> Judged {
    let anyway = options.anyway.is_some();
    let mut refusals = who_answers(observed, planned, anyway);
    let mut warnings = Vec::new();
    if planned.is_empty() {
        return Judged { refusals, warnings };
    }
    let mut refuse = |checked: Result<(), LaneError>| refusals.extend(checked.err());
    refuse(bundle_serves(session, planned));
    if !session.target.is_local && !anyway {
        refuse(forwards::check(session, observed, planned));
    }
    for problem in unfit_source(session.target, session.source, anyway) {
        refuse(Err(LaneError::Refused(problem)));
    }
    refuse(has_curl(session, planned));
    let mut found = Vec::new();
    if planned.runs(Lane::Backend) {
        found.extend(to_service(
            session.config,
            session.target,
            &observed.service,
        ));
    }
    if planned.runs(Lane::Frontend) {
        found.extend(to_site(&session.target.policy, &observed.site));
        match rules_in_force(session, observed, options.accepted.without_functions) {
            Ok(rules) => found.extend(rules),
            Err(error) => refuse(Err(error)),
        }
    }
    for objection in found {
        match objection.stops {
            true => refuse(Err(LaneError::Refused(objection.text))),
            false => warnings.push(objection.text),
        }
    }
    Judged { refusals, warnings }
}

/// Nothing is published beside, and nothing is said of, a half that does not answer as recorded and that the release leaves alone.
fn who_answers(observed: &Observed, planned: &Plan, anyway: bool) -> Vec<LaneError> {
    // A reason lifts it for what is released, and makes nothing true of what is not.
    if anyway && !planned.is_empty() {
        return Vec::new();
    }
    let refused = |(lane, standing): (&Lane, &Standing)| match standing {
        Standing::Unclear(text) => Some(LaneError::Refused(text.clone())),
        Standing::Ill(why) if !planned.runs(*lane) => Some(LaneError::Unhealthy(format!(
            "the {lane} does not answer as recorded, and this release would leave it so: {why} (hint: release it too, without --only; --anyway REASON releases all the same, and is recorded)"
        ))),
        Standing::Ill(_) | Standing::Well => None,
    };
    let answering = &observed.facts.answering;
    answering.iter().filter_map(refused).collect()
}

/// As [`judge`], for whoever is about to release: what is only worth knowing is said.
///
/// # Errors
/// When the release must not be made.
pub fn may_release(
    session: &Session<'_>,
    options: &Options,
    observed: &Observed,
    planned: &Plan,
) -> Result<(), LaneError> {
    let judged = judge(session, options, observed, planned);
    if let Some(refusal) = judged.refusals.into_iter().next() {
        return Err(refusal);
    }
    for text in judged.warnings {
        session.world.emit(EventKind::Warning { text });
    }
    Ok(())
}

/// What of the site's rules is not in effect, as far as that is known before the site is built.
///
/// # Errors
/// When a file of rules cannot be read.
fn rules_in_force(
    session: &Session<'_>,
    observed: &Observed,
    without_functions: bool,
) -> Result<Vec<Objection>, LaneError> {
    let files = session
        .inputs
        .rules(session.preparation.bundle().is_some())
        .map_err(|error| LaneError::Refused(format!("{error:#}")))?;
    let around = session.config.around_rules(Some(session.target));
    let rules = SiteRules::read(&files, around);
    let released = observed.facts.live.as_ref();
    let is_first = released.is_none_or(|live| !live.record.lanes.contains_key(&Lane::Frontend));
    Ok(to_rules(&rules, is_first && !without_functions))
}

/// A smoke test that cannot be run must not be found out after publishing. On this machine it is only left out.
fn has_curl(session: &Session<'_>, planned: &Plan) -> Result<(), LaneError> {
    let asks = Lane::ALL.into_iter().any(|lane| {
        let smokes = session.config.smoke(lane);
        planned.runs(lane) && smokes.iter().any(|smoke| smoke.path.is_some())
    });
    if !asks || session.target.is_local || smoke::has_curl(session.world, session.preparation)? {
        return Ok(());
    }
    Err(LaneError::Refused(
        "deploy.toml has smoke tests that curl makes, and there is no curl on the PATH (hint: install it)"
            .to_owned(),
    ))
}

/// A bundle need not hold every lane, but it must hold those that run.
///
/// # Errors
/// When it lacks one.
pub fn bundle_serves(session: &Session<'_>, planned: &Plan) -> Result<(), LaneError> {
    let lacks = session
        .preparation
        .bundle()
        .and_then(|manifest| manifest.lacks(planned));
    lacks.map_or(Ok(()), |text| Err(LaneError::Refused(text)))
}
