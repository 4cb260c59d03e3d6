//! The live display: a line for each step that runs, and finished ones scrolling away above them.

use super::clean;
use super::line::{self, Line};
use super::outcome;
use super::screen::Screen;
use super::words::duration;
use crate::console::Console;
use crate::dispatch::Sink;
use crate::event::{Event, EventKind, Step, StepEnd};
use crate::state::RunState;
use indicatif::{
    MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How often the elapsed time is drawn anew.
const TICK: Duration = Duration::from_millis(125);
/// Below so many columns a running step shows its name only.
const COLUMNS_MIN_FOR_PROGRESS: usize = 48;
/// Characters of a progress text; the line is cut to the terminal's width as well.
const PROGRESS_CHARS: usize = 200;

/// A live display on standard error. With `verbose` it also shows what commands print and the events between steps.
pub fn terminal(console: Console, verbose: bool) -> Box<dyn Sink> {
    let screen = Box::new(Screen::new(console.clone()));
    Box::new(Terminal::on(screen, console, verbose, Some(TICK)))
}

struct Terminal {
    console: Console,
    verbose: bool,
    /// None: drawn when something happens, and not in between.
    tick: Option<Duration>,
    display: MultiProgress,
    running: BTreeMap<Step, ProgressBar>,
    /// Warnings repeat when a loop goes round; one of each is enough.
    warned: BTreeSet<String>,
}

impl Terminal {
    fn on(
        screen: Box<dyn TermLike>,
        console: Console,
        verbose: bool,
        tick: Option<Duration>,
    ) -> Self {
        let display =
            MultiProgress::with_draw_target(ProgressDrawTarget::term_like_with_hz(screen, 10));
        Self {
            console,
            verbose,
            tick,
            display,
            running: BTreeMap::new(),
            warned: BTreeSet::new(),
        }
    }

    fn begin(&mut self, step: Step) {
        if self.running.contains_key(&step) {
            return;
        }
        let above = self.running.range(..step).count();
        let bar = self.display.insert(above, ProgressBar::no_length());
        bar.set_style(style(self.console.columns));
        bar.set_prefix(format!("{:<8}  {}", line::who(step.lane()), step.title()));
        match self.tick {
            Some(tick) => bar.enable_steady_tick(tick),
            None => bar.tick(),
        }
        self.running.insert(step, bar);
    }

    fn end(&mut self, step: Step) {
        if let Some(bar) = self.running.remove(&step) {
            bar.finish_and_clear();
            self.display.remove(&bar);
        }
    }

    /// Puts lines above the running steps, where they stay.
    fn print(&self, text: &str) {
        let text = self.console.redact(text);
        let text = if self.console.color {
            text
        } else {
            anstream::adapter::strip_str(&text).to_string()
        };
        // A terminal that went away is no reason to stop a release.
        let _closed = self.display.println(text);
    }

    fn print_lines(&mut self, lines: &[Line]) {
        for line in lines {
            if line.live || self.verbose {
                self.print(&line.render());
            }
        }
    }

    fn finished(&mut self, step: Step, end: StepEnd, state: &RunState, lines: &[Line]) {
        self.end(step);
        self.print_lines(lines);
        // With -v the same lines were shown while they came.
        if let (StepEnd::Failed, false, Some(status)) = (end, self.verbose, state.steps.get(&step))
        {
            let tail: Vec<String> = outcome::tail(state, step, status)
                .map(line::output)
                .collect();
            if !tail.is_empty() {
                self.print(&tail.join("\n"));
            }
        }
    }
}

impl Sink for Terminal {
    fn event(&mut self, event: &Event, state: &RunState) {
        let lines = line::lines(event, state);
        match &event.kind {
            EventKind::StepStarted { step } => self.begin(*step),
            EventKind::StepProgress { step, text } => {
                if let Some(bar) = self.running.get(step) {
                    bar.set_message(clean::clip(
                        &clean::line(&self.console.redact(text)),
                        PROGRESS_CHARS,
                    ));
                }
            }
            EventKind::StepFinished { step, end, .. } => self.finished(*step, *end, state, &lines),
            // A log that is fetched after its step has ended explains a failure.
            EventKind::Output { step, line }
                if self.verbose || !self.running.contains_key(step) =>
            {
                self.print(&line::output(line));
            }
            EventKind::Warning { text } if !self.warned.insert(text.clone()) => {}
            EventKind::RunFinished { .. } => {
                self.print_lines(&lines);
                while let Some((_, bar)) = self.running.pop_last() {
                    bar.finish_and_clear();
                }
                let _closed = self.display.clear();
            }
            _ => self.print_lines(&lines),
        }
    }
}

/// `⠋ backend   deploy and start  build_in_progress  12.3 s`
fn style(columns: usize) -> ProgressStyle {
    let template = if columns < COLUMNS_MIN_FOR_PROGRESS {
        "{spinner} {prefix}"
    } else {
        "{spinner} {prefix}  {wide_msg} {took:>10}"
    };
    let took = |state: &ProgressState, text: &mut dyn std::fmt::Write| {
        let ms = u64::try_from(state.elapsed().as_millis()).unwrap_or(u64::MAX);
        let _infallible = text.write_str(&duration(ms));
    };
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .with_key("took", took)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::sample::{self, Told, plain};
    use insta::assert_snapshot;
    use std::io;
    use std::sync::{Arc, Mutex};

    /// A terminal that remembers its rows: as much of one as the display uses.
    #[derive(Clone, Debug)]
    struct Paper {
        columns: u16,
        inner: Arc<Mutex<Rows>>,
    }

    #[derive(Debug, Default)]
    struct Rows {
        rows: Vec<Vec<char>>,
        row: usize,
        column: usize,
    }

    impl Paper {
        fn new(columns: u16) -> Self {
            Self {
                columns,
                inner: Arc::default(),
            }
        }

        fn text(&self) -> String {
            let inner = self.inner.lock().unwrap();
            let rows: Vec<String> = inner
                .rows
                .iter()
                .map(|row| row.iter().collect::<String>().trim_end().to_owned())
                .collect();
            rows.join("\n").trim_end().to_owned()
        }

        fn put(&self, text: &str) -> io::Result<()> {
            let mut inner = self.inner.lock().unwrap();
            for c in plain(text).chars() {
                if c == '\n' || inner.column == usize::from(self.columns) {
                    inner.row += 1;
                    inner.column = 0;
                }
                let (row, column) = (inner.row, inner.column);
                if inner.rows.len() <= row {
                    inner.rows.resize(row + 1, Vec::new());
                }
                if c != '\n' {
                    let cells = &mut inner.rows[row];
                    if cells.len() <= column {
                        cells.resize(column + 1, ' ');
                    }
                    cells[column] = c;
                    inner.column += 1;
                }
            }
            Ok(())
        }

        fn go(&self, go: impl FnOnce(&mut Rows)) -> io::Result<()> {
            go(&mut self.inner.lock().unwrap());
            Ok(())
        }
    }

    impl TermLike for Paper {
        fn width(&self) -> u16 {
            self.columns
        }
        fn move_cursor_up(&self, n: usize) -> io::Result<()> {
            self.go(|rows| rows.row -= n)
        }
        fn move_cursor_down(&self, n: usize) -> io::Result<()> {
            self.go(|rows| rows.row += n)
        }
        fn move_cursor_right(&self, n: usize) -> io::Result<()> {
            self.go(|rows| rows.column += n)
        }
        fn move_cursor_left(&self, n: usize) -> io::Result<()> {
            self.go(|rows| rows.column = rows.column.saturating_sub(n))
        }
        fn write_line(&self, s: &str) -> io::Result<()> {
            self.put(&format!("{s}\n"))
        }
        fn write_str(&self, s: &str) -> io::Result<()> {
            self.put(s)
        }
        fn clear_line(&self) -> io::Result<()> {
            self.go(|rows| {
                let row = rows.row;
                rows.column = 0;
                if let Some(cells) = rows.rows.get_mut(row) {
                    cells.clear();
                }
            })
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn show(told: &Told, columns: u16, verbose: bool, upto: usize) -> (Paper, Terminal) {
        let paper = Paper::new(columns);
        let console = Console::new(true, usize::from(columns));
        let mut terminal = Terminal::on(Box::new(paper.clone()), console, verbose, None);
        let mut state = RunState::default();
        for event in told.events.iter().take(upto) {
            state.apply(event);
            terminal.event(event, &state);
        }
        (paper, terminal)
    }

    fn shown(told: &Told, columns: u16, verbose: bool) -> String {
        show(told, columns, verbose, usize::MAX).0.text()
    }

    #[test]
    fn released() {
        assert_snapshot!(shown(&sample::released(), 100, false), @r#"
        · release   deploy 1a2b3c4 to production  Show revenue by region
        ✓ release   preflight                0.2 s  reversible: yes, because no pending migration breaks the
         live version
        · frontend  runs  frontend/js/main.js modified and 1 more
        · backend   runs  backend/src/main.rs modified and 1 more
        · backend   migrations  0003_add_region.sql
        ✓ backend   rehearse migrations      0.3 s  1 file on the live schema in 12 ms
        ✓ frontend  upload as a draft        1.1 s  3 of 12 files were new to the provider
        ✓ frontend  verify the draft         0.2 s  12 files have our content
        ✓ release   checks                   5.3 s  passed: backend
        ! release   retry  Render GET /services/srv-1/deploys/dep-9: status 503; asked again in 1.5 s
        ✓ backend   deploy and start         6.9 s  dep-9 is live
        ✓ backend   read the schema back     0.0 s  generation 3, 1 applied by this release
        ✓ backend   prove the version        0.2 s  1a2b3c4 answered 3 times in a row
        ✓ frontend  publish                  0.4 s  65f0c0ffee65f0c0ffee65f0 is the published deploy
        ✓ frontend  verify what is public    0.1 s  12 files have our content
        ✓ release   record what is live      0.0 s  20261123T170102Z-1a2b3c4-9f3c is recorded as live
        "#);
    }

    #[test]
    fn a_failed_check_shows_its_last_lines() {
        assert_snapshot!(shown(&sample::check_failed(), 100, false), @r#"
        · release   deploy 1a2b3c4 to production  Show revenue by region
        ✓ release   preflight                0.2 s  reversible: yes, because no pending migration breaks the
         live version
        · frontend  runs  frontend/js/main.js modified and 1 more
        · backend   runs  backend/src/main.rs modified and 1 more
        · backend   migrations  0003_add_region.sql
        ✓ backend   rehearse migrations      0.3 s  1 file on the live schema in 12 ms
        ✓ frontend  upload as a draft        1.1 s  3 of 12 files were new to the provider
        ✓ frontend  verify the draft         0.2 s  12 files have our content
        ✗ release   checks                   2.1 s  check 'backend' failed with exit code 101: cargo test -p
         backend
          │ running 2 tests
          │ test rounding ... FAILED
          │ ::error::not for the runner
          │   left: 1
          │  right: 2
        "#);
    }

    #[test]
    fn a_log_that_comes_after_its_step_is_shown() {
        let text = shown(&sample::rolled_back(), 100, false);
        assert!(text.contains("  │ error: the database is locked"), "{text}");
    }

    #[test]
    fn output_comes_with_v_and_once() {
        let text = shown(&sample::check_failed(), 100, true);
        assert_eq!(text.matches("rounding ... FAILED").count(), 1, "{text}");
        let quiet = shown(&sample::released(), 100, false);
        assert!(
            !quiet.contains("test totals")
                && shown(&sample::released(), 100, true).contains("test totals"),
            "{quiet}"
        );
    }

    #[test]
    fn running_steps_stand_below_with_their_progress() {
        let told = sample::released();
        let upload = told
            .events
            .iter()
            .position(|event| matches!(event.kind, EventKind::StepProgress { .. }))
            .unwrap();
        for (columns, expected) in [
            (60, "frontend  upload as a draft  2 of 3 files"),
            (40, "frontend  upload as a draft"),
        ] {
            let (paper, terminal) = show(&told, columns, false, upload + 1);
            // Drawing is limited in its rate; what is drawn now is what would be on the screen a moment later.
            terminal.running.values().for_each(ProgressBar::force_draw);
            let text = paper.text();
            let last: Vec<&str> = text.lines().rev().take(2).collect();
            assert!(
                last[0].contains(expected) && last[1].contains("release   checks"),
                "{text}"
            );
            assert!(
                text.lines()
                    .all(|line| line.chars().count() <= usize::from(columns)),
                "{text}"
            );
        }
    }

    #[test]
    fn secrets_and_control_sequences_stay_away() {
        let paper = Paper::new(80);
        let console = Console::new(false, 80);
        let word = format!("tok-{}", "q9".repeat(8));
        console.register("NETLIFY_AUTH_TOKEN", &word);
        let mut terminal = Terminal::on(Box::new(paper.clone()), console, true, None);
        let step = Step::Checks;
        for kind in [
            EventKind::StepStarted { step },
            EventKind::StepProgress {
                step,
                text: format!("with {word}"),
            },
            EventKind::Output {
                step,
                line: format!("\u{1b}[2Jit is {word}"),
            },
            EventKind::Warning {
                text: format!("{word} was seen"),
            },
        ] {
            let event = Event {
                seq: 1,
                at_ms: 0,
                elapsed_ms: 1,
                kind,
            };
            terminal.event(&event, &RunState::fold([&event]));
        }
        terminal.running.values().for_each(ProgressBar::force_draw);
        let text = paper.text();
        assert!(
            text.contains("it is ") && text.contains("was seen") && !text.contains(&word),
            "{text}"
        );
    }

    #[test]
    fn no_width_breaks_it() {
        for columns in [1, 2, 10, 20, 47, 48, 60, 500] {
            let text = shown(&sample::hostile(), columns, true);
            assert!(text.contains('✓'), "{columns}");
        }
        drop(terminal(Console::new(false, 0), false));
    }
}
