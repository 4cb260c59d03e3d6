//! What is prepared side by side ends when one part of it has failed, and what comes after is not cut short with it.

use super::decisions::status;
use super::project::{How, Outcome, Project, Version};
use cloud::Fault;
use tandem::event::{Step, StepEnd};

fn end(outcome: &Outcome, step: Step) -> Option<StepEnd> {
    outcome.state.steps.get(&step)?.end
}

/// It was ended, or had not begun.
fn was_ended(outcome: &Outcome, step: Step) -> bool {
    matches!(end(outcome, step), None | Some(StepEnd::Cancelled))
}

/// A project whose provider needs ten minutes to process an upload.
fn slow() -> Project {
    let project = Project::live(1);
    let mut settings = project.universe.cloud().cloud().settings().clone();
    settings.timings.netlify_processing_ms = 600_000;
    project.universe.cloud().cloud_mut().set_settings(settings);
    project
}

#[test]
fn a_red_check_ends_the_upload_and_the_draft_is_taken_away() {
    for seed in 0..20 {
        let mut project = slow();
        let version = Version {
            check_fails: true,
            ..Version::new(2)
        };
        let outcome = project.deploy(&version, How::seed(seed));
        assert_eq!(outcome.code(), 4, "{}", outcome.reason());
        assert!(
            outcome.reason().contains("check 'tests' failed"),
            "{}",
            outcome.reason()
        );
        assert_eq!(end(&outcome, Step::Checks), Some(StepEnd::Failed));
        assert_eq!(
            end(&outcome, Step::FrontendUpload),
            Some(StepEnd::Cancelled)
        );
        // The check takes four seconds; the rest is asking whether what is live still is.
        assert!(outcome.elapsed_ms < 20_000, "{} ms", outcome.elapsed_ms);
        let cloud = project.universe.cloud();
        let cancels = cloud
            .cloud()
            .requests()
            .filter(|request| request.path.ends_with("/cancel"));
        assert_eq!(cancels.count(), 1);
    }
}

#[test]
fn a_failed_upload_or_rehearsal_ends_the_checks() {
    let long = |seed| How {
        check_ms: Some(600_000),
        ..How::seed(seed)
    };
    for seed in 0..20 {
        let mut project = Project::live(1);
        let refuses = Fault::new("POST", "/api/v1/sites/*/deploys", status(422, false));
        project.universe.cloud().add_fault(refuses);
        let outcome = project.deploy(&Version::new(2), long(seed));
        assert_eq!(outcome.code(), 4, "{}", outcome.reason());
        assert!(
            outcome.reason().contains("answered 422"),
            "{}",
            outcome.reason()
        );
        assert!(was_ended(&outcome, Step::Checks));
        assert!(outcome.elapsed_ms < 20_000, "{} ms", outcome.elapsed_ms);

        let mut project = slow();
        let version = Version {
            rehearsal_fails: true,
            ..Version::new(2).migrating(2, false)
        };
        let outcome = project.deploy(&version, long(seed));
        assert!(
            outcome.reason().contains("no such table"),
            "{} {}",
            outcome.code(),
            outcome.reason()
        );
        assert!(was_ended(&outcome, Step::Checks));
        assert!(outcome.elapsed_ms < 20_000, "{} ms", outcome.elapsed_ms);
    }
}
