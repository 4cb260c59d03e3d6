//! The site's proxy rules, each asked once: under the permalink as far as the service answers by then, and when the site is public.
//!
//! A rule that leads to the service must bring the service's own answer; that it does not is evidence against the frontend. What
//! other addresses answer is theirs, and is only said.

use crate::ids::Lane;
use crate::inputs::SiteFile;
use crate::job::{Job, LaneError, OUTAGE};
use crate::lane::verify;
use crate::service::{PublicFile, SiteAddress, ask as ask_once};
use crate::site_rules::{self, Question, Redirect, SiteRules, Weight};
use crate::world::SendError;
use std::time::Duration;

/// How long a rule may take to reach the edge that we ask; the files of the deploy have arrived there already.
const EDGE_BUDGET: Duration = Duration::from_secs(10);
/// Rules to other addresses may take so long together.
const OTHERS_BUDGET: Duration = Duration::from_secs(30);
/// Between two questions.
const PAUSE: Duration = Duration::from_secs(1);

/// Says what is not in effect of the rules that the build made; the others were said before it.
///
/// # Errors
/// When a rule to the service can take no effect, or the files cannot be read.
pub fn say_what_the_build_made(job: &Job<'_>) -> Result<(), LaneError> {
    let said = read(job, job.preparation.bundle().is_some())?.findings;
    for finding in read(job, true)?.findings {
        if said.contains(&finding) {
            continue;
        }
        let is_first = job
            .live
            .is_none_or(|live| !live.record.lanes.contains_key(&Lane::Frontend));
        let stops = match finding.weight {
            Weight::Said => false,
            Weight::StopsFirst => is_first && !job.accepted.without_functions,
            Weight::Stops => true,
        };
        if stops {
            return Err(LaneError::Refused(finding.to_string()));
        }
        job.warn(finding.to_string());
    }
    Ok(())
}

fn read(job: &Job<'_>, is_built: bool) -> Result<SiteRules, LaneError> {
    let files = job
        .inputs
        .rules(is_built)
        .map_err(|error| LaneError::Refused(format!("{error:#}")))?;
    Ok(SiteRules::read(
        &files,
        job.config.around_rules(Some(job.target)),
    ))
}

/// Asks each rule once, now that the site is public. Gives what a report says of it; nothing when there is none.
///
/// # Errors
/// When a rule that leads to the service does not reach it.
pub fn ask(job: &Job<'_>, address: &SiteAddress, files: &[SiteFile]) -> Result<String, LaneError> {
    let rules = read(job, true)?;
    let (questions, unasked) = of(job, &rules, files);
    let (mut reached, mut odd) = (0, 0);
    let started = job.now_ms();
    for question in &questions {
        let answered = match &question.service_path {
            Some(path) => at_service(job, address, files, question, path)?,
            None if job.since(started) >= OTHERS_BUDGET => {
                not_asked(job, question.rule, "the others took too long");
                continue;
            }
            None => elsewhere(job, address, files, question)?,
        };
        if answered {
            reached += 1;
        } else {
            odd += 1;
        }
    }
    for rule in &unasked {
        not_asked(job, rule.rule, &rule.why);
    }
    if questions.is_empty() && unasked.is_empty() {
        return Ok(String::new());
    }
    let all = questions.len() + unasked.len();
    let others = match (odd, all - reached - odd) {
        (0, 0) => String::new(),
        (odd, 0) => format!(", {odd} not"),
        (0, unasked) => format!(", {unasked} not asked"),
        (odd, unasked) => format!(", {odd} not, {unasked} not asked"),
    };
    Ok(format!(
        "; of {all} proxy rule(s) {reached} answered as they should{others}"
    ))
}

fn not_asked(job: &Job<'_>, rule: &Redirect, why: &str) {
    job.warn(format!(
        "{}: '{}' was not asked: {why}",
        rule.place,
        rule.shown()
    ));
}

/// Asks the rules that lead to the service, where it answers already: what is wrong with them is better found before it is public.
///
/// # Errors
/// When one does not reach it.
pub fn ask_before(
    job: &Job<'_>,
    address: &SiteAddress,
    files: &[SiteFile],
) -> Result<String, LaneError> {
    let rules = read(job, true)?;
    let (questions, _unasked) = of(job, &rules, files);
    let mut reached = 0;
    for question in &questions {
        let Some(path) = &question.service_path else {
            continue;
        };
        // A service that is about to be released for the first time, or sleeps, is asked later.
        let is_up = job.baseline.backend.is_some()
            && ask_once(job.world, &service(job), path).is_ok_and(|answer| answer.status < 500);
        if is_up && at_service(job, address, files, question, path)? {
            reached += 1;
        }
    }
    Ok(match reached {
        0 => String::new(),
        reached => format!("; {reached} proxy rule(s) reach the service"),
    })
}

fn of<'r>(
    job: &Job<'_>,
    rules: &'r SiteRules,
    files: &[SiteFile],
) -> (Vec<Question<'r>>, Vec<site_rules::Unasked<'r>>) {
    let has_file = |path: &str| {
        let path = path.trim_matches('/');
        let forms = [
            path.to_owned(),
            format!("{path}.html"),
            format!("{path}/index.html"),
        ];
        let index = path.is_empty().then_some("index.html");
        files
            .iter()
            .any(|file| forms.contains(&file.path) || index.is_some_and(|index| file.path == index))
    };
    site_rules::questions(
        &rules.redirects,
        job.config.around_rules(Some(job.target)),
        &job.config.backend.health,
        &has_file,
    )
}

fn service(job: &Job<'_>) -> SiteAddress {
    SiteAddress::public(&job.target.service_url)
}

/// Whether the site brings the service's own answer. False when that cannot be told, which is said.
fn at_service(
    job: &Job<'_>,
    address: &SiteAddress,
    files: &[SiteFile],
    question: &Question<'_>,
    service_path: &str,
) -> Result<bool, LaneError> {
    let started = job.now_ms();
    loop {
        let site = ask_once(job.world, address, &question.path);
        let own = ask_once(job.world, &service(job), service_path);
        let is_silent = site.is_err() && own.is_err();
        let problem = match compare(&site, &own, files) {
            Compared::Same => return Ok(true),
            Compared::Unclear => {
                job.warn(format!(
                    "{}: whether '{}' leads to anything could not be told: {} is answered with 404, and so is {service_path} by the service itself (hint: a rule that covers {} can be told)",
                    question.rule.place,
                    question.rule.shown(),
                    question.path,
                    job.config.backend.health
                ));
                return Ok(false);
            }
            Compared::Differs(problem) => problem,
        };
        let budget = if is_silent && verify::is_offline(job) {
            OUTAGE
        } else {
            EDGE_BUDGET
        };
        if job.since(started) >= budget {
            return Err(LaneError::Failed(format!(
                "{}: '{}' does not reach the service: {} at {address} {problem}",
                question.rule.place,
                question.rule.shown(),
                question.path
            )));
        }
        job.wait(PAUSE)?;
    }
}

/// How the site's answer stands to the service's.
#[derive(Debug, PartialEq, Eq)]
enum Compared {
    /// The service's own.
    Same,
    /// Both found nothing.
    Unclear,
    /// Somebody else's.
    Differs(String),
}

fn compare(
    site: &Result<PublicFile, SendError>,
    own: &Result<PublicFile, SendError>,
    files: &[SiteFile],
) -> Compared {
    let said = |answer: &Result<PublicFile, SendError>| match answer {
        Ok(answer) => format!("status {}", answer.status),
        Err(error) => format!("no answer ({error})"),
    };
    let (Ok(site_answer), Ok(own_answer)) = (site, own) else {
        return Compared::Differs(format!(
            "gives {}, the service itself {}",
            said(site),
            said(own)
        ));
    };
    if let Some(file) = files.iter().find(|file| file.sha1 == site_answer.sha1)
        && own_answer.sha1 != site_answer.sha1
    {
        return Compared::Differs(format!(
            "gives the site's own {}, the service itself {}",
            file.path,
            said(own)
        ));
    }
    if site_answer.status != own_answer.status {
        return Compared::Differs(format!(
            "gives {}, the service itself {}",
            said(site),
            said(own)
        ));
    }
    if site_answer.status == 404 {
        return Compared::Unclear;
    }
    Compared::Same
}

/// Whether a rule to another address brings an answer of it, which is said when it does not.
fn elsewhere(
    job: &Job<'_>,
    address: &SiteAddress,
    files: &[SiteFile],
    question: &Question<'_>,
) -> Result<bool, LaneError> {
    if let Some(cancelled) = job.world.cancelled() {
        return Err(cancelled.into());
    }
    let problem = match ask_once(job.world, address, &question.path) {
        Ok(answer) if answer.status >= 500 => format!("status {}", answer.status),
        Ok(answer) => match files.iter().find(|file| file.sha1 == answer.sha1) {
            None => return Ok(true),
            Some(file) => format!("the site's own {}", file.path),
        },
        Err(error) => format!("no answer ({error})"),
    };
    job.warn(format!(
        "{}: '{}' brings {problem} at {}",
        question.rule.place,
        question.rule.shown(),
        question.path
    ));
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::manifest::hex;
    use crate::world::SendErrorKind;
    use sha1::{Digest as _, Sha1};

    fn answer(status: u16, body: &str) -> Result<PublicFile, SendError> {
        Ok(PublicFile {
            status,
            sha1: hex(&Sha1::digest(body)),
            size: body.len() as u64,
            age_s: None,
            body: body.into(),
            headers: http::HeaderMap::new(),
        })
    }

    fn silence() -> Result<PublicFile, SendError> {
        Err(SendError {
            kind: SendErrorKind::NotSent,
            text: "refused".to_owned(),
        })
    }

    #[test]
    fn only_the_services_own_answer_will_do() {
        let page = SiteFile {
            path: "index.html".to_owned(),
            sha1: hex(&Sha1::digest("page")),
            size: 4,
        };
        let differs = |text: &str| Compared::Differs(text.to_owned());
        for (site, own, expected) in [
            (answer(200, "at 1"), answer(200, "at 2"), Compared::Same),
            (answer(503, "ill"), answer(503, "ill"), Compared::Same),
            (answer(404, "none"), answer(404, "none"), Compared::Unclear),
            (
                answer(404, "Not Found"),
                answer(404, "{}"),
                Compared::Unclear,
            ),
            (
                answer(200, "page"),
                answer(200, "{}"),
                differs("gives the site's own index.html, the service itself status 200"),
            ),
            (answer(200, "page"), answer(200, "page"), Compared::Same),
            (
                answer(404, "Not Found"),
                answer(200, "{}"),
                differs("gives status 404, the service itself status 200"),
            ),
            (
                answer(502, "bad"),
                silence(),
                differs("gives status 502, the service itself no answer (refused)"),
            ),
            (
                silence(),
                answer(200, "{}"),
                differs("gives no answer (refused), the service itself status 200"),
            ),
        ] {
            let files = std::slice::from_ref(&page);
            assert_eq!(compare(&site, &own, files), expected);
        }
    }
}
