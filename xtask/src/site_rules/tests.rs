//! Every way known to write a rule that does nothing, and the plain ones beside them.

use super::*;

const SERVICE: &str = "https://shop-api.example";
const AROUND: Around<'_> = Around {
    service_url: SERVICE,
    site_url: "https://shop.example",
    build: Some("npm run build"),
    publish: "web/dist",
};

fn file(shown: &str, text: &str) -> Option<RuleFile> {
    Some(RuleFile {
        shown: shown.to_owned(),
        text: text.to_owned(),
    })
}

fn of_redirects(text: &str) -> SiteRules {
    let files = RuleFiles {
        redirects: file(REDIRECTS, text),
        ..RuleFiles::default()
    };
    SiteRules::read(&files, AROUND)
}

fn of_headers(text: &str) -> SiteRules {
    let files = RuleFiles {
        headers: file(HEADERS, text),
        ..RuleFiles::default()
    };
    SiteRules::read(&files, AROUND)
}

fn of_toml(text: &str) -> SiteRules {
    let files = RuleFiles {
        toml: file(TOML, text),
        ..RuleFiles::default()
    };
    SiteRules::read(&files, AROUND)
}

/// The findings as lines, `!` before those that stop a release and `1` before those that stop the first.
fn said(rules: &SiteRules) -> Vec<String> {
    let line = |finding: &Finding| match finding.weight {
        Weight::Said => finding.to_string(),
        Weight::StopsFirst => format!("1 {finding}"),
        Weight::Stops => format!("! {finding}"),
    };
    rules.findings.iter().map(line).collect()
}

#[test]
fn plain_rules_are_read_and_nothing_is_said() {
    let rules = of_redirects(
        "# a comment\n\n/old /new\n/api/*  __SERVICE_URL__/api/:splat  200!   # proxied\r\n/news/:year  /n/:year 302 Country=de,at\n/s id=:id /p/:id 307\n/blog/* 200\nhttps://shop.example/x https://b.example/y 308!\n/* /index.html 200\n",
    );
    assert_eq!(said(&rules), Vec::<String>::new());
    let shown: Vec<String> = rules
        .redirects
        .iter()
        .map(|rule| {
            format!(
                "{} {} {}{} {:?} {:?} {:?}",
                rule.place.line,
                rule.shown(),
                rule.status,
                if rule.force { "!" } else { "" },
                rule.query,
                rule.conditions,
                rule.host
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "3 /old → /new 301 [] [] None",
            "4 /api/* → https://shop-api.example/api/:splat 200! [] [] None",
            "5 /news/:year → /n/:year 302 [] [\"Country=de,at\"] None",
            "6 /s → /p/:id 307 [\"id=:id\"] [] None",
            "7 /blog/* → /blog/:splat 200 [] [] None",
            "8 /x → https://b.example/y 308! [] [] Some(\"shop.example\")",
            "9 /* → /index.html 200 [] [] None",
        ]
    );
}

#[test]
fn each_line_that_is_no_rule_is_named() {
    for (line, why) in [
        ("/alone", "it names no target"),
        ("/alone # /x", "it names no target"),
        (
            "/whatever undefined 301",
            "no word of it is a target, which begins with /, http:// or https://",
        ),
        (
            "/whatever undefined",
            "no word of it is a target, which begins with /, http:// or https://",
        ),
        (
            "undefined/* https://a.example/:splat 301!",
            "'undefined/*' is no path, which begins with / or http(s)://, so it meets no request",
        ),
        (
            "about /b",
            "'about' is no path, which begins with / or http(s)://, so it meets no request",
        ),
        (
            "/blog post=:id /news post=:id 302",
            "'post=:id' stands where the status belongs",
        ),
        (
            "/a /b Country=de",
            "'Country=de' stands where the status belongs",
        ),
        (
            "/a /b permanent",
            "'permanent' stands where the status belongs",
        ),
        ("/a /b 999", "999 is no status that a rule can have"),
        ("/a /b 20", "20 is no status that a rule can have"),
        ("/a /b 99999999999", "0 is no status that a rule can have"),
        ("/a 404.html", "it names no target"),
        ("/a 301 /b", "it names no target"),
        ("/a 200", "it names no target"),
        (
            "/.netlify/x /b 200",
            "paths below /.netlify belong to the provider",
        ),
        (
            "/a?id=1 /b",
            "a path is compared without its query (hint: parameters stand as name=value between path and target)",
        ),
    ] {
        let rules = of_redirects(&format!("/x /y\n{line}\n"));
        assert_eq!(
            said(&rules),
            [format!("_redirects:2: '{line}' takes no part: {why}")],
            "{line}"
        );
        assert_eq!(rules.redirects.len(), 1, "{line}");
    }
}

#[test]
fn words_that_mean_nothing_are_named_and_the_rule_stands() {
    let rules = of_redirects("/a foo /b 301\n/c /d 302 Planet=mars loudly\n");
    assert_eq!(
        said(&rules),
        [
            "_redirects:1: of '/a foo /b 301' this takes no part: foo",
            "_redirects:2: of '/c /d 302 Planet=mars loudly' this takes no part: Planet=mars, loudly",
        ]
    );
    assert_eq!(rules.redirects.len(), 2);
}

#[test]
fn a_rule_to_the_service_that_is_none_stops() {
    for line in [
        "api/* __SERVICE_URL__/api/:splat 200",
        "/api/* __SERVICE_URL__/api/:splat 999",
        "/api/* https://shop-api.example/api/:splat proxy",
        "/api/*=>__SERVICE_URL__/api/:splat",
        "to = \"__SERVICE_URL__/api/:splat\"",
    ] {
        let rules = of_redirects(line);
        assert_eq!(rules.findings[0].weight, Weight::Stops, "{line}");
    }
    // Another host's name that begins alike is another host.
    let rules = of_redirects("/a/* https://shop-api.example.org/:splat 200\n");
    assert_eq!(AROUND.service_path(&rules.redirects[0].to), None);
    assert_eq!(AROUND.service_path("http://SHOP-api.example"), Some("/"));
    assert_eq!(
        AROUND.service_path("https://shop-api.example/a"),
        Some("/a")
    );
}

#[test]
fn toml_in_the_line_files_is_one_finding() {
    let rules =
        of_redirects("/x /y\n[[redirects]]\n  from = \"/old\"\n  to = \"/new\"\n  status = 301\n");
    assert_eq!(
        said(&rules),
        [
            "_redirects:2: this line is TOML, and so are the lines 3, 4, 5; that takes no part here (hint: TOML belongs into netlify.toml)"
        ]
    );
    let rules = of_headers(
        "[[headers]]\n  for = \"/*\"\n  [headers.values]\n    X-Frame-Options = \"DENY\"\n    Content-Security-Policy = \"default-src https://a.example\"\n",
    );
    assert_eq!(
        said(&rules),
        [
            "_headers:1: this line is TOML, and so are the lines 2, 3, 4, 5; that takes no part here (hint: TOML belongs into netlify.toml)"
        ]
    );
    assert!(rules.headers.is_empty());
}

#[test]
fn a_byte_order_mark_is_said_and_does_not_hide_the_first_rule() {
    let mark = "begins with a byte order mark, which would be part of its first rule; it is not sent (hint: save the file as UTF-8 without one)";
    let rules = of_redirects("\u{feff}/a /b\n");
    assert_eq!(said(&rules), [format!("_redirects:1: {mark}")]);
    assert_eq!(rules.redirects[0].from, "/a");
    let rules = of_headers("\u{feff}/*\n  X-A: 1\n");
    assert_eq!(said(&rules), [format!("_headers:1: {mark}")]);
    assert_eq!(rules.headers.len(), 1);
    let rules = of_toml("\u{feff}[[redirects]]\nfrom = \"/a\"\nto = \"/b\"\n");
    assert_eq!(said(&rules), [format!("netlify.toml:1: {mark}")]);
    assert_eq!(rules.redirects.len(), 1);
}

#[test]
fn each_line_that_is_no_header_is_named() {
    let rules = of_headers(
        "X-Early: 1\n/*\n  X-Frame-Options: DENY\n  X-Empty:\n  : value\n  nonsense\n  X Y: 1\n  # comment\nhttps://a.example/*\n  X-B: 2\n/alone\n/last\n",
    );
    assert_eq!(
        said(&rules),
        [
            "_headers:1: 'X-Early: 1' takes no part: no path stands before it",
            "_headers:4: 'X-Empty:' takes no part: the header has no value",
            "_headers:5: ': value' takes no part: it names no header",
            "_headers:6: 'nonsense' takes no part: it is neither a path, which begins with /, nor a header, which has a colon",
            "_headers:7: 'X Y: 1' takes no part: what stands before the colon is no header's name",
            "_headers:9: 'https://a.example/*' takes no part: it is an address, and would be taken for a header (hint: begin the path with /)",
            "_headers:11: '/alone' takes no part: no header stands below it",
            "_headers:12: '/last' takes no part: no header stands below it",
        ]
    );
    assert_eq!(rules.headers[0].names, ["x-frame-options", "x-b"]);
}

#[test]
fn rules_that_can_never_apply_are_named() {
    let rules = of_redirects(
        "/a /b\n/a /c 302\n/* /index.html 200\n/old /new\n/there.html /new 301!\n/api/* __SERVICE_URL__/api/:splat 200!\nhttps://www.shop.example/* https://shop.example/:splat 301!\n",
    );
    assert_eq!(
        said(&rules),
        [
            "_redirects:2: '/a → /c' can never apply: _redirects:1 comes first and takes all of its paths ('/a → /b')",
            "_redirects:4: '/old → /new' can never apply: _redirects:3 comes first and takes all of its paths ('/* → /index.html')",
            "! _redirects:6: '/api/* → https://shop-api.example/api/:splat' can never apply: _redirects:3 comes first and takes all of its paths ('/* → /index.html')",
            "_redirects:7: '/* → https://shop.example/:splat' applies to requests for www.shop.example only, and the site answers at https://shop.example",
        ]
    );
    // Said twice, in both files, it works all the same.
    let files = RuleFiles {
        redirects: file(REDIRECTS, "/api/* __SERVICE_URL__/api/:splat 200!\n"),
        toml: file(
            "netlify.toml",
            "[[redirects]]\nfrom = \"/api/*\"\nto = \"__SERVICE_URL__/api/:splat\"\nstatus = 200\n",
        ),
        ..RuleFiles::default()
    };
    let rules = SiteRules::read(&files, AROUND);
    assert_eq!(rules.findings.len(), 1);
    assert_eq!(rules.findings[0].weight, Weight::Said);
    assert_eq!(rules.findings[0].place.to_string(), "netlify.toml:2");
    // A condition leaves others over.
    let rules = of_redirects("/* /de/:splat 302 Language=de\n/api/* __SERVICE_URL__/:splat 200\n");
    assert_eq!(said(&rules), Vec::<String>::new());
}

const WHOLE: &str = r#"[build]
  base = "web"
  command = "npm run build"
  publish = "dist"
  functions = "functions"

[build.environment]
  NODE_VERSION = "20"

[build.processing.html]
  pretty_urls = false

[context.production]
  command = "make"
  [[context.production.redirects]]
    from = "/x"
    to = "/y"

[context.deploy-preview]
  command = "make preview"

[functions]
  node_bundler = "esbuild"

[[edge_functions]]
  path = "/admin"
  function = "auth"

[[plugins]]
  package = "@netlify/plugin-nextjs"

[[redirects]]
  from = "/api/*"
  to = "__SERVICE_URL__/api/:splat"
  status = 200
  force = true
  headers = { X-From = "netlify" }

[[redirects]]
  from = "/hook"
  to = "/.netlify/functions/hook"
  status = 200

[[redirects]]
  from = "/no"
  status = 301

[[redirects]]
  from = "/float"
  to = "/x"
  status = 200.0

[[redirects]]
  origin = "/older"
  destination = "/newer"
  form = "/typo"
  query = { id = ":id" }

[[redirects]]
  from = "/*"
  to = "/index.html"
  status = 200

[[headers]]
  for = "/*"
  [headers.values]
    X-Frame-Options = "DENY"
    Cache-Control = ["no-cache", "no-store"]

[[headers]]
  for = "/number"
  [headers.values]
    X-Number = 1

[[headers]]
  for = "/none"

[redirect]
  from = "/singular"
"#;

#[test]
fn everything_in_netlify_toml_that_takes_no_part_is_named() {
    let rules = of_toml(WHOLE);
    assert_eq!(
        said(&rules),
        [
            "1 netlify.toml:5: functions are not released from here: the site is uploaded as files alone (hint: move them to the service, or let the provider build the site)",
            "netlify.toml:7: of [build] this takes no part: environment; deploy.toml says how the site is built",
            "netlify.toml:14: of [context.production] this takes no part: command, redirects (hint: redirects and headers hold in every context; deploy.toml says how the site is built)",
            "netlify.toml:22: settings for functions take no part: functions are not released from here",
            "1 netlify.toml:26: edge functions are not released from here (hint: move them to the service, or let the provider build the site)",
            "1 netlify.toml:30: the build plugin @netlify/plugin-nextjs is not run here: deploy.toml says how the site is built (hint: do their work in `frontend.build`, or remove them)",
            "1 netlify.toml:40: '/hook → /.netlify/functions/hook' leads to a function, and functions are not released from here",
            "netlify.toml:45: the rule for '/no' takes no part: it has no `to`",
            "netlify.toml:49: the rule for '/float' takes no part: its `status` is no whole number",
            "netlify.toml:56: 'form' is no key of a redirect and takes no part",
            "netlify.toml:71: these headers take no part: the value of X-Number is no text",
            "netlify.toml:76: these headers take no part: there are no [headers.values]",
            "netlify.toml:78: 'redirect' is nothing that the provider knows, and takes no part",
        ]
    );
    let froms: Vec<&str> = rules
        .redirects
        .iter()
        .map(|rule| rule.from.as_str())
        .collect();
    assert_eq!(froms, ["/api/*", "/hook", "/older", "/*"]);
    assert_eq!(rules.headers[0].names, ["cache-control", "x-frame-options"]);
}

#[test]
fn a_netlify_toml_that_cannot_be_read_stops() {
    assert_eq!(
        said(&of_toml("[[redirects]]\nfrom = /a\n")),
        [
            "! netlify.toml:2: this is no TOML (string values must be quoted, expected literal string), so none of the file's rules can be read (hint: mend or remove the file)"
        ]
    );
    assert_eq!(
        said(&of_toml("[redirects]\nfrom = \"/a\"\n")),
        [
            "! netlify.toml:1: 'redirects' must be a list of tables, so none of them can be read (hint: write [[redirects]])"
        ]
    );
    assert_eq!(
        said(&of_toml(
            "[[redirects]]\nfrom = \"api\"\nto = \"__SERVICE_URL__/api\"\nstatus = 200\n"
        )),
        [
            "! netlify.toml:2: the rule for 'api' takes no part: 'api' is no path, which begins with / or http(s)://, so it meets no request"
        ]
    );
}

#[test]
fn what_lies_around_is_named() {
    let files = RuleFiles {
        toml: file("web/netlify.toml", ""),
        passed_over: vec!["netlify.toml".to_owned()],
        functions: vec!["netlify/functions".to_owned()],
        ..RuleFiles::default()
    };
    assert_eq!(
        said(&SiteRules::read(&files, AROUND)),
        [
            "netlify.toml: takes no part: web/netlify.toml is nearer to the published folder and counts",
            "1 netlify/functions: functions are not released from here: the site is uploaded as files alone (hint: move them to the service, or let the provider build the site)",
        ]
    );
    assert_eq!(
        candidates("./web//dist/"),
        ["web/dist/netlify.toml", "web/netlify.toml", "netlify.toml"]
    );
}

fn sent(path: &str, text: &str) -> String {
    String::from_utf8(as_sent(path, text.into(), SERVICE).unwrap()).unwrap()
}

#[test]
fn line_files_are_sent_as_they_are_but_for_the_mark() {
    let odd = "nonsense\n/a undefined 301\n/api/* __SERVICE_URL__/:splat 200\r\n";
    assert_eq!(
        sent(REDIRECTS, &format!("\u{feff}{odd}")),
        odd.replace("__SERVICE_URL__", SERVICE)
    );
    assert_eq!(sent(HEADERS, "\u{feff}/*\n x\n"), "/*\n x\n");
    assert_eq!(
        sent("a.js", "\u{feff}__SERVICE_URL__"),
        "\u{feff}__SERVICE_URL__"
    );
}

#[test]
fn of_netlify_toml_every_rule_is_sent_and_nothing_of_the_build() {
    let text = sent(TOML, WHOLE);
    let (ours, theirs): (toml::Table, toml::Table) = (
        text.parse().unwrap(),
        WHOLE.replace(SERVICE_URL_MARK, SERVICE).parse().unwrap(),
    );
    for name in ["redirects", "headers"] {
        assert_eq!(ours[name], theirs[name], "{name}");
    }
    assert_eq!(ours["build"]["processing"], theirs["build"]["processing"]);
    let keys: Vec<&String> = ours.keys().collect();
    assert_eq!(keys, ["build", "headers", "redirects"]);
    assert_eq!(ours["build"].as_table().unwrap().len(), 1);
    assert!(text.contains("\"status\" = 200\n"), "{text}");

    let odd = "[[headers]]\nfor = \"/*\"\n[headers.values]\nX = \"quote \\\" back \\\\ tab \\t \\u007f é\"\n[[redirects]]\nfrom = '/a'\nto = '/b'\nstatus = 0x12e\nwhen = 1979-05-27\n";
    let ours: toml::Table = sent(TOML, odd).parse().unwrap();
    assert_eq!(ours, odd.parse().unwrap());
    assert_eq!(sent(TOML, "[build]\ncommand = \"make\"\n"), "");
    assert!(as_sent(TOML, b"a = ".to_vec(), SERVICE).is_err());
}

#[test]
fn each_proxy_rule_has_its_question() {
    let rules = of_redirects(
        "/api/admin/* /404.html 404!\n/api/* __SERVICE_URL__/api/:splat 200!\n/back/* __SERVICE_URL__/:splat 200\n/other/* __SERVICE_URL__/v2/:splat 200\n/users/:id __SERVICE_URL__/u/:id 200\n/one __SERVICE_URL__/only 200\n/ext/* https://ext.example/:splat 200\n/de/* https://de.example/:splat 200 Country=de\n/q id=:id https://q.example/:id 200\n/there/* __SERVICE_URL__/there/:splat 200\nhttps://www.shop.example/w/* __SERVICE_URL__/:splat 200\n/moved/* __SERVICE_URL__/:splat 301\n",
    );
    let has_file = |path: &str| path == "/there/";
    let (asked, unasked) = questions(&rules.redirects, AROUND, "/api/health", &has_file);
    let asked: Vec<String> = asked
        .iter()
        .map(|question| {
            let service = question.service_path.as_deref().unwrap_or("-");
            format!("{} {service}", question.path)
        })
        .collect();
    assert_eq!(
        asked,
        [
            "/api/health /api/health",
            "/back/api/health /api/health",
            "/other/ /v2/",
            "/one /only",
            "/ext/ -",
        ]
    );
    let unasked: Vec<String> = unasked
        .iter()
        .map(|rule| format!("{} {}", rule.rule.place.line, rule.why))
        .collect();
    assert_eq!(
        unasked,
        [
            "5 it has placeholders, for which no value is known",
            "8 it applies to some visitors only (Country=de)",
            "9 it applies with the parameter id=:id only",
            "10 a file of the site stands at /there/",
            "11 it applies to requests for www.shop.example only",
        ]
    );
}

#[test]
fn a_rule_is_not_asked_where_an_earlier_one_answers() {
    let rules = of_redirects(
        "/api/health /status.html 200!\n/api/* __SERVICE_URL__/api/:splat 200!\n/x/* /y 301\n",
    );
    let (asked, unasked) = questions(&rules.redirects, AROUND, "/api/health", &|_| false);
    assert_eq!(
        (asked[0].path.as_str(), asked[0].service_path.as_deref()),
        ("/api/", Some("/api/"))
    );
    assert!(unasked.is_empty());
}
