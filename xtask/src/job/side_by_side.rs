//! Several things at once, each on a thread of its own, and one error for all of them.

use super::LaneError;
use crate::world::World;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

/// One of several things that are done side by side.
pub type Task<'t, T> = Box<dyn Fn() -> Result<T, LaneError> + Sync + 't>;

/// Does everything at once, each on a thread of its own. The first failure ends the others: what they did would not be used.
///
/// # Errors
/// The gravest one, when several fail. What one says that was ended for another's failure is none.
pub fn side_by_side<T: Send>(
    world: &dyn World,
    tasks: &[Task<'_, T>],
) -> Result<Vec<T>, LaneError> {
    let results: Mutex<Vec<Result<T, LaneError>>> = Mutex::new(Vec::new());
    world.lanes(tasks.len(), &|index| {
        let Some(task) = tasks.get(index) else { return };
        let result = catch_unwind(AssertUnwindSafe(task))
            .unwrap_or_else(|panic| Err(LaneError::Bug(panic_text(&*panic))));
        if result.is_err() {
            world.end_lanes();
        }
        results
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(result);
    });
    let mut done = Vec::new();
    let mut errors = Vec::new();
    for result in results.into_inner().unwrap_or_else(PoisonError::into_inner) {
        match result {
            Ok(found) => done.push(found),
            Err(error) => errors.push(error),
        }
    }
    let asked = world.cancelled();
    let decides = errors
        .into_iter()
        .min_by_key(|error| rank(error, asked.is_some()));
    match (decides, asked) {
        (None, _) => Ok(done),
        // Whoever was cut short does not know by what.
        (Some(LaneError::Cancelled(_)), Some(asked)) => Err(LaneError::Cancelled(asked)),
        (Some(error), _) => Err(error),
    }
}

/// When several tasks fail, this one decides; of equals the first. `asked`: somebody wants the run to stop.
fn rank(error: &LaneError, asked: bool) -> u8 {
    match error {
        LaneError::Bug(_) => 0,
        LaneError::Cancelled(_) if asked => 1,
        LaneError::Cancelled(_) => 6,
        LaneError::Database(_) => 2,
        LaneError::Failed(_) | LaneError::Unverifiable(_) | LaneError::Superseded(_) => 3,
        LaneError::Refused(_) | LaneError::Unhealthy(_) => 4,
        LaneError::Unknown(_) => 5,
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let said = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    format!(
        "a lane of this program panicked: {} (this is a bug of Tandem)",
        said.unwrap_or("no message")
    )
}
