//! The repository's own dashboard in a real browser, released by the real program to a local cloud with the real backend
//! behind it: what a visitor sees can only be judged where a visitor looks.
//!
//! The one file that knows a browser. Without one it says so and passes, unless TANDEM_REQUIRE_BROWSER=1.

use headless_chrome::browser::tab::Tab;
use headless_chrome::protocol::cdp::types::Event;
use headless_chrome::protocol::cdp::{Audits, Browser as CdpBrowser, Emulation, Page};
use headless_chrome::{Browser, LaunchOptions};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Where Debian's package puts it.
const CHROMIUM: &str = "/usr/bin/chromium";
/// For each thing that must appear: far more than it takes, because a busy machine is no failure.
const PATIENCE: Duration = Duration::from_secs(90);
/// Nothing of this may reach out to the network or outlive the test.
const FLAGS: [&str; 6] = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

#[test]
fn the_dashboard_works_in_a_browser() {
    if !Path::new(CHROMIUM).exists() {
        let required = std::env::var("TANDEM_REQUIRE_BROWSER").is_ok_and(|value| value == "1");
        assert!(
            !required,
            "TANDEM_REQUIRE_BROWSER=1, but there is no {CHROMIUM} (apt-get install chromium)"
        );
        println!("skipped: there is no {CHROMIUM}");
        return;
    }
    let site = Site::release();
    let visitor = Visitor::open();
    loads_and_shows_everything(&site, &visitor);
    filters_and_refreshes(&visitor);
    fits_every_screen(&visitor);
    assert_eq!(
        visitor.complaints(),
        Vec::<String>::new(),
        "the console must be silent while all is well"
    );
    obeys_its_policy(&visitor);
    says_when_the_backend_is_away(&site, &visitor);
    offers_to_reload_after_a_release(&site, &visitor);
}

fn loads_and_shows_everything(site: &Site, visitor: &Visitor) {
    visitor.go_to(&site.url);
    visitor.sees("[data-testid=page][data-phase=ready]");
    visitor.sees("[data-testid=health][data-status=healthy]");
    visitor.sees("[data-testid=total-EUR]");
    visitor.sees("[data-testid=chart] canvas");
    visitor.sees("[data-testid=away][hidden]");
    visitor.sees("[data-testid=reload-notice][hidden]");
    let status = site.status();
    let commit = status["lanes"]
        .as_array()
        .and_then(|lanes| lanes.iter().find(|lane| lane["lane"] == "backend"))
        .and_then(|lane| lane["commit"].as_str())
        .expect("the backend's commit in `status --json`");
    visitor.sees(&format!(
        "[data-testid=backend-version][data-commit='{commit}']"
    ));
    assert_eq!(
        visitor.text("[data-testid=release-id]"),
        status["release"].as_str().unwrap_or_default()
    );
    let total = visitor.text("[data-testid=total-EUR]");
    assert!(
        total.bytes().any(|byte| byte.is_ascii_digit()),
        "a sum of money: {total}"
    );
}

fn filters_and_refreshes(visitor: &Visitor) {
    let all = visitor.text("[data-testid=total-EUR]");
    visitor.choose("[data-testid=filter-currency]", "EUR");
    visitor.choose("[data-testid=filter-group]", "month");
    visitor.until("the address names the filters", || {
        visitor
            .evaluate("location.search")
            .contains("group=month&currency=EUR")
    });
    visitor.click("[data-testid=clear]");
    visitor.until("the address is plain again", || {
        visitor.evaluate("location.search").is_empty()
    });
    let before = visitor.requests_of("/api/revenue/summary");
    visitor.click("[data-testid=refresh]");
    visitor.until("the figures were asked for again", || {
        visitor.requests_of("/api/revenue/summary") > before
    });
    visitor.sees("[data-testid=refresh]:not(.is-busy)");
    visitor.sees("[data-testid=page][data-phase=ready]");
    assert_eq!(visitor.text("[data-testid=total-EUR]"), all);
}

/// Screenshots for people, and the one thing about layout that a machine can judge: nothing sticks out to the side.
fn fits_every_screen(visitor: &Visitor) {
    let artifacts = repo().join("artifacts");
    std::fs::create_dir_all(&artifacts).unwrap();
    for (name, width, height) in [("desktop", 1280, 800), ("phone", 390, 844)] {
        visitor.resize(width, height);
        let overflow = visitor.evaluate("document.documentElement.scrollWidth - innerWidth");
        assert!(
            overflow.parse::<i64>().is_ok_and(|pixels| pixels <= 0),
            "{name}: {overflow} pixels stick out"
        );
        let png = visitor.screenshot();
        assert!(
            png.starts_with(b"\x89PNG"),
            "{name}: the browser sent no picture"
        );
        std::fs::write(artifacts.join(format!("dashboard-{name}.png")), png).unwrap();
    }
}

/// Silence above is worth something only if a breach is heard.
fn obeys_its_policy(visitor: &Visitor) {
    visitor.evaluate(
        "{ const script = document.createElement('script'); \
         script.textContent = 'window.breached = true'; document.body.append(script); }",
    );
    visitor.until("the browser reports the inline script", || {
        let complaints = visitor.complaints();
        complaints
            .iter()
            .any(|complaint| complaint.contains("Content Security Policy"))
    });
    assert_eq!(visitor.evaluate("window.breached === true"), "false");
}

fn says_when_the_backend_is_away(site: &Site, visitor: &Visitor) {
    let total = visitor.text("[data-testid=total-EUR]");
    site.take_backend_away();
    visitor.click("[data-testid=refresh]");
    visitor.sees("[data-testid=away]:not([hidden])");
    visitor.sees("[data-testid=page][data-phase=stale]");
    visitor.sees("[data-testid=health][data-status=away]");
    assert_eq!(
        visitor.text("[data-testid=total-EUR]"),
        total,
        "the last figures stay, marked as stale"
    );
    visitor.go_to(&site.url);
    visitor.sees("[data-testid=page][data-phase=away]");
    site.bring_backend_back();
    visitor.click("[data-testid=retry]");
    visitor.sees("[data-testid=page][data-phase=ready]");
    visitor.sees("[data-testid=away][hidden]");
    visitor.sees("[data-testid=health][data-status=healthy]");
}

fn offers_to_reload_after_a_release(site: &Site, visitor: &Visitor) {
    let old = visitor.text("[data-testid=release-id]");
    site.change_frontend();
    site.deploy();
    visitor.click("[data-testid=refresh]");
    visitor.sees("[data-testid=reload-notice]:not([hidden])");
    visitor.click("[data-testid=reload]");
    visitor.until("the page is of the new release", || {
        visitor.has("[data-testid=page][data-phase=ready]")
            && visitor.text("[data-testid=release-id]") != old
    });
    visitor.sees("[data-testid=reload-notice][hidden]");
}

fn repo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package lies in the repository")
        .to_owned()
}

/// A project that consists of the repository's frontend and migrations and the built backend, released to a cloud of its own.
struct Site {
    project: tempfile::TempDir,
    /// Of the published site, without a trailing slash.
    url: String,
}

impl Site {
    fn release() -> Self {
        let project = tempfile::tempdir().unwrap();
        let root = project.path();
        copy(&repo().join("frontend"), &root.join("frontend"));
        copy(&repo().join("migrations"), &root.join("migrations"));
        let backend = backend_binary();
        std::fs::write(
            root.join("deploy.toml"),
            format!(
                r#"project = "browser-test"
[frontend]
paths = ["frontend/**"]
publish = "frontend"
exclude = ["tests/**"]
[backend]
paths = ["migrations/**"]
build = "true"
start = "exec '{}'"
migrations = "migrations"
[backend.disk]
name = "data"
mount_path = "/var/data"
size_gb = 1
[backend.env]
DATABASE_PATH = "/var/data/tandem.db"
[backend.local.env]
TANDEM_DEMO_DATA = "1"
"#,
                backend.display()
            ),
        )
        .unwrap();
        let mut site = Self {
            project,
            url: String::new(),
        };
        site.deploy();
        site.url = site.daemon()["site_url"]
            .as_str()
            .expect("site_url")
            .to_owned();
        site
    }

    fn xtask(&self, args: &[&str]) -> std::process::Output {
        Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(args)
            .current_dir(self.project.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.project.path())
            .output()
            .expect("start xtask")
    }

    fn deploy(&self) {
        let output = self.xtask(&["deploy", "--log", "ci"]);
        assert!(
            output.status.success(),
            "deploy: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn status(&self) -> Value {
        serde_json::from_slice(&self.xtask(&["status", "--json"]).stdout)
            .expect("`status --json` prints JSON")
    }

    /// Where the cloud wrote down how it is reached.
    fn daemon(&self) -> Value {
        let path = self.project.path().join(".tandem/cloud/daemon.json");
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    /// Every call through the site's proxy is answered as if nobody listened behind it.
    fn take_backend_away(&self) {
        let fault = json!({ "door": "site", "path": "/api/**", "count": 0, "kind": "status", "status": 502 });
        let (url, token) = self.faults();
        ureq::post(url)
            .header("authorization", token)
            .send_json(fault)
            .expect("script the fault");
    }

    fn bring_backend_back(&self) {
        let (url, token) = self.faults();
        ureq::delete(url)
            .header("authorization", token)
            .call()
            .expect("clear the faults");
    }

    fn faults(&self) -> (String, String) {
        let daemon = self.daemon();
        let field = |name: &str| daemon[name].as_str().expect("a string").to_owned();
        (
            format!("{}/_cloud/faults", field("api_url")),
            format!("Bearer {}", field("control_token")),
        )
    }

    fn change_frontend(&self) {
        let path = self.project.path().join("frontend/css/base.css");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, text + "\n/* another release */\n").unwrap();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.xtask(&["cloud", "down"]));
    }
}

/// The binary beside this test's own, built when it is not there yet.
fn backend_binary() -> PathBuf {
    let found = Path::new(env!("CARGO_BIN_EXE_xtask")).with_file_name("backend");
    if !found.exists() {
        let target = found.ancestors().nth(2).expect("target/debug/backend");
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--locked", "--offline", "-p", "backend"])
            .env("CARGO_TARGET_DIR", target)
            .current_dir(repo())
            .status()
            .expect("start cargo");
        assert!(built.success(), "build the backend: {built}");
    }
    found
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            // The engine's sources lie among the migrations and are none.
            if entry.file_name() != "engine" {
                copy(&source, &target);
            }
        } else {
            std::fs::copy(source, target).unwrap();
        }
    }
}

/// One browser with one tab, and everything that its console and its policies complained about.
struct Visitor {
    browser: Option<Browser>,
    tab: Arc<Tab>,
    complaints: Arc<Mutex<Vec<String>>>,
    profile: Option<tempfile::TempDir>,
}

impl Visitor {
    fn open() -> Self {
        let profile = tempfile::tempdir().unwrap();
        // It leaves sockets in the folder for temporary files, and settings at home.
        let own = profile.path().to_str().unwrap().to_owned();
        let envs = ["HOME", "TMPDIR"].map(|name| (name.to_owned(), own.clone()));
        let options = LaunchOptions::default_builder()
            .process_envs(Some(envs.into()))
            .path(Some(CHROMIUM.into()))
            .sandbox(false)
            .user_data_dir(Some(profile.path().to_owned()))
            .window_size(Some((1280, 800)))
            // A release runs while the tab is silent.
            .idle_browser_timeout(Duration::from_secs(600))
            .args(FLAGS.iter().map(OsStr::new).collect())
            .build()
            .unwrap();
        let browser = Browser::new(options).expect("start the browser");
        let tab = browser.new_tab().expect("open a tab");
        tab.set_default_timeout(PATIENCE);
        let complaints = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&complaints);
        let _listener = tab
            .add_event_listener(Arc::new(move |event: &Event| {
                if let Some(complaint) = complaint(event) {
                    seen.lock().unwrap().push(complaint);
                }
            }))
            .unwrap();
        tab.enable_log().unwrap();
        tab.enable_runtime().unwrap();
        tab.call_method(Audits::Enable(None)).unwrap();
        Self {
            browser: Some(browser),
            tab,
            complaints,
            profile: Some(profile),
        }
    }

    fn go_to(&self, url: &str) {
        self.tab
            .navigate_to(url)
            .and_then(|tab| tab.wait_until_navigated())
            .unwrap_or_else(|error| panic!("open {url}: {error:#}"));
    }

    /// Waits for an element.
    fn sees(&self, selector: &str) {
        self.until(&format!("{selector} is there"), || self.has(selector));
    }

    fn has(&self, selector: &str) -> bool {
        self.evaluate(&format!(
            "document.querySelector({}) !== null",
            json!(selector)
        )) == "true"
    }

    fn text(&self, selector: &str) -> String {
        self.evaluate(&format!(
            "document.querySelector({})?.textContent.trim() ?? ''",
            json!(selector)
        ))
    }

    fn click(&self, selector: &str) {
        self.evaluate(&format!(
            "document.querySelector({}).click()",
            json!(selector)
        ));
    }

    fn choose(&self, selector: &str, value: &str) {
        self.evaluate(&format!(
            "{{ const field = document.querySelector({}); field.value = {}; \
             field.dispatchEvent(new Event('change', {{ bubbles: true }})); }}",
            json!(selector),
            json!(value)
        ));
    }

    /// How often the page has asked for a path, by the browser's own count.
    fn requests_of(&self, path: &str) -> u64 {
        let count = self.evaluate(&format!(
            "performance.getEntriesByType('resource').filter((entry) => entry.name.includes({})).length",
            json!(path)
        ));
        count.parse().expect("a number")
    }

    /// The value of an expression as text; empty while the page is being replaced.
    fn evaluate(&self, expression: &str) -> String {
        let Ok(found) = self.tab.evaluate(expression, true) else {
            return String::new();
        };
        match found.value {
            Some(Value::String(text)) => text,
            Some(other) => other.to_string(),
            None => String::new(),
        }
    }

    fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so() {
            assert!(
                Instant::now() < deadline,
                "not within {} s: {what}\ncomplaints: {:#?}\npage: {}",
                PATIENCE.as_secs(),
                self.complaints(),
                self.evaluate("document.body.dataset.phase + ': ' + document.body.innerText")
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn resize(&self, width: u32, height: u32) {
        let metrics = Emulation::SetDeviceMetricsOverride {
            width,
            height,
            device_scale_factor: 1.0,
            mobile: false,
            scale: None,
            screen_width: None,
            screen_height: None,
            position_x: None,
            position_y: None,
            dont_set_visible_size: None,
            screen_orientation: None,
            viewport: None,
            display_feature: None,
            device_posture: None,
        };
        self.tab.call_method(metrics).expect("resize the page");
        // The chart redraws itself in the frame after it has noticed.
        self.evaluate(
            "new Promise((drawn) => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(drawn)), 100))",
        );
    }

    fn screenshot(&self) -> Vec<u8> {
        self.tab
            .capture_screenshot(Page::CaptureScreenshotFormatOption::Png, None, None, true)
            .expect("take a screenshot")
    }

    fn complaints(&self) -> Vec<String> {
        self.complaints.lock().unwrap().clone()
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        // Asked to leave, the browser ends its own children; killed, it would leave them writing to the profile.
        let _gone = self.tab.call_method(CdpBrowser::Close(None));
        let pid = self.browser.as_ref().and_then(Browser::get_process_id);
        let deadline = Instant::now() + Duration::from_secs(10);
        while pid.is_some_and(is_alive) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(self.browser.take());
        while let Some(profile) = self.profile.take() {
            let path = profile.path().to_owned();
            if profile.close().is_err() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(50));
                let _next = std::fs::remove_dir_all(path);
            }
        }
    }
}

/// A child that ended stays in the table until it is waited for, as a zombie.
fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        stat.rsplit(')')
            .next()
            .is_some_and(|rest| !rest.trim_start().starts_with('Z'))
    })
}

/// What a person would find in the browser's console, or its list of issues.
fn complaint(event: &Event) -> Option<String> {
    match event {
        Event::LogEntryAdded(added) => {
            let entry = &added.params.entry;
            Some(format!("{:?}: {} {:?}", entry.level, entry.text, entry.url))
        }
        Event::RuntimeExceptionThrown(thrown) => {
            let details = &thrown.params.exception_details;
            Some(format!(
                "exception: {} {:?}",
                details.text, details.exception
            ))
        }
        Event::RuntimeConsoleAPICalled(called) => {
            let call = format!("{:?}", called.params.Type);
            let bad = ["Error", "Warning", "Assert"].contains(&call.as_str());
            bad.then(|| format!("console: {call} {:?}", called.params.args))
        }
        Event::AuditsIssueAdded(added) => Some(format!("issue: {:?}", added.params.issue)),
        _ => None,
    }
}
