//! Releases lead forwards: an older commit is refused, and what nobody could ask is no permission.

use super::project::{How, Known, Project, Version};
use tandem::ids::Lane;
use tandem::run::Options;

#[test]
fn an_older_commit_needs_a_reason_and_an_unknown_order_is_no_permission() {
    let mut project = Project::live(1);
    assert_eq!(project.deploy(&Version::new(3), How::seed(1)).code(), 0);
    let knowing = |history, anyway: Option<&str>| How {
        history,
        options: Options {
            anyway: anyway.map(str::to_owned),
            ..Options::default()
        },
        ..How::seed(1)
    };
    let older = Version::new(2);
    let outcome = project.deploy(&older, knowing(Known::All, None));
    assert_eq!(outcome.code(), 10, "{}", outcome.reason());
    let outcome = project.deploy(&older, knowing(Known::Unasked, None));
    assert_eq!(outcome.code(), 3, "{}", outcome.reason());
    assert_eq!(project.universe.cloud().created_deploys().1, 2);
    let outcome = project.deploy(&older, knowing(Known::Gone, None));
    assert_eq!(outcome.code(), 0, "{}", outcome.reason());
    let first = Version::new(1);
    let outcome = project.deploy(&first, knowing(Known::Unasked, Some("it must be")));
    assert_eq!(outcome.code(), 0, "{}", outcome.reason());
}

#[test]
fn the_order_is_asked_of_each_half_that_runs() {
    let mut project = Project::live(1);
    let newer = Version::new(3).only_backend(1);
    assert_eq!(project.deploy(&newer, How::seed(1)).code(), 0);
    // Its frontend is newer than the one that is live, its backend is not.
    let between = Version::new(2);
    let outcome = project.deploy(&between, How::seed(1));
    assert_eq!(outcome.code(), 10, "{}", outcome.reason());
    let outcome = project.deploy(&between, How::only(Lane::Frontend));
    assert_eq!(outcome.code(), 0, "{}", outcome.reason());
}
