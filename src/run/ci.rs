//! The run of a CI system that we are part of, as its environment variables tell. Pure.

use url::Url;

use super::facts::Ci;

/// The longest value that is kept, characters: whoever starts a job may name it.
const MAX_VALUE: usize = 300;
const MAX_URL: usize = 1000;

/// What a variable holds, by its name.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A CI system: how it is known, and which of its variables say what. Of several that could say the
/// same, the first that is set does.
struct System {
    name: &'static str,
    /// Set by this system alone, and not to `false`.
    marker: &'static str,
    /// Repository, workflow, job: what is there is joined.
    names: &'static [&'static [&'static str]],
    /// The build's number, where the names don't tell one from the next.
    number: Option<&'static str>,
    /// Branch or tag; of a pull request, the branch it comes from.
    branch: &'static [&'static str],
    commit: &'static [&'static str],
    page: Page,
}

/// The run's page.
enum Page {
    In(&'static [&'static str]),
    /// This system has no variable for it.
    Made(fn(Variables<'_>) -> Option<String>),
    Unknown,
}

/// Those that imitate another one stand before it.
const SYSTEMS: &[System] = &[
    System {
        name: "Gitea Actions",
        marker: "GITEA_ACTIONS",
        names: &[&["GITHUB_REPOSITORY"], &["GITHUB_WORKFLOW"], &["GITHUB_JOB"]],
        number: None,
        branch: &["GITHUB_HEAD_REF", "GITHUB_REF_NAME"],
        commit: &["GITHUB_SHA"],
        page: Page::Made(gitea_page),
    },
    System {
        name: "GitHub Actions",
        marker: "GITHUB_ACTIONS",
        names: &[&["GITHUB_REPOSITORY"], &["GITHUB_WORKFLOW"], &["GITHUB_JOB"]],
        number: None,
        branch: &["GITHUB_HEAD_REF", "GITHUB_REF_NAME"],
        commit: &["GITHUB_SHA"],
        page: Page::Made(github_page),
    },
    System {
        name: "GitLab CI",
        marker: "GITLAB_CI",
        names: &[&["CI_PROJECT_PATH"], &["CI_JOB_NAME"]],
        number: None,
        branch: &["CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CI_COMMIT_REF_NAME"],
        commit: &["CI_COMMIT_SHA"],
        page: Page::In(&["CI_JOB_URL", "CI_PIPELINE_URL"]),
    },
    // Its page has no variable, and the repository's owner none either.
    System {
        name: "Gitee Go",
        marker: "GITEE_PIPELINE_NAME",
        names: &[&["GITEE_REPO"], &["GITEE_PIPELINE_DISPLAY_NAME", "GITEE_PIPELINE_NAME"]],
        number: Some("GITEE_PIPELINE_BUILD_NUMBER"),
        branch: &["GITEE_SOURCE_BRANCH", "GITEE_BRANCH"],
        commit: &["GITEE_SOURCE_COMMIT", "GITEE_COMMIT"],
        page: Page::Unknown,
    },
    System {
        name: "Travis CI",
        marker: "TRAVIS",
        names: &[&["TRAVIS_REPO_SLUG"], &["TRAVIS_JOB_NAME"]],
        number: Some("TRAVIS_JOB_NUMBER"),
        branch: &["TRAVIS_PULL_REQUEST_BRANCH", "TRAVIS_BRANCH"],
        commit: &["TRAVIS_PULL_REQUEST_SHA", "TRAVIS_COMMIT"],
        page: Page::In(&["TRAVIS_JOB_WEB_URL", "TRAVIS_BUILD_WEB_URL"]),
    },
    System {
        name: "CircleCI",
        marker: "CIRCLECI",
        names: &[&["CIRCLE_PROJECT_REPONAME"], &["CIRCLE_JOB"]],
        number: Some("CIRCLE_BUILD_NUM"),
        branch: &["CIRCLE_BRANCH", "CIRCLE_TAG"],
        commit: &["CIRCLE_SHA1"],
        page: Page::In(&["CIRCLE_BUILD_URL"]),
    },
    System {
        name: "Azure Pipelines",
        marker: "TF_BUILD",
        names: &[&["BUILD_REPOSITORY_NAME"], &["BUILD_DEFINITIONNAME"], &["AGENT_JOBNAME"]],
        number: None,
        branch: &["BUILD_SOURCEBRANCHNAME"],
        commit: &["BUILD_SOURCEVERSION"],
        page: Page::Made(azure_page),
    },
    System {
        name: "Buildkite",
        marker: "BUILDKITE",
        names: &[&["BUILDKITE_PIPELINE_SLUG"], &["BUILDKITE_LABEL"]],
        number: Some("BUILDKITE_BUILD_NUMBER"),
        branch: &["BUILDKITE_BRANCH", "BUILDKITE_TAG"],
        commit: &["BUILDKITE_COMMIT"],
        page: Page::In(&["BUILDKITE_BUILD_URL"]),
    },
    System {
        name: "Drone",
        marker: "DRONE",
        names: &[&["DRONE_REPO"], &["DRONE_STAGE_NAME"], &["DRONE_STEP_NAME"]],
        number: Some("DRONE_BUILD_NUMBER"),
        branch: &["DRONE_SOURCE_BRANCH", "DRONE_BRANCH", "DRONE_TAG"],
        commit: &["DRONE_COMMIT_SHA", "DRONE_COMMIT"],
        page: Page::In(&["DRONE_BUILD_LINK"]),
    },
    // Last: agents of the others may run on a Jenkins machine and inherit its address.
    System {
        name: "Jenkins",
        marker: "JENKINS_URL",
        names: &[&["JOB_NAME"]],
        number: Some("BUILD_NUMBER"),
        branch: &["CHANGE_BRANCH", "BRANCH_NAME", "GIT_BRANCH"],
        commit: &["GIT_COMMIT"],
        page: Page::In(&["BUILD_URL"]),
    },
];

/// The run of a CI system, if the variables are those of one.
pub fn of(variables: Variables<'_>) -> Option<Ci> {
    let set = |name: &str| variables(name).map(|value| tidy(&value)).filter(|value| !value.is_empty());
    let first = |names: &[&str]| names.iter().find_map(|name| set(name));
    let system = SYSTEMS
        .iter()
        .find(|system| set(system.marker).is_some_and(|value| !value.eq_ignore_ascii_case("false")))?;
    let mut names: Vec<String> = system.names.iter().filter_map(|names| first(names)).collect();
    names.extend(system.number.and_then(set).map(|number| format!("#{number}")));
    let page = match system.page {
        Page::In(names) => names.iter().find_map(|name| variables(name)),
        Page::Made(make) => make(&|name| variables(name).filter(|value| !value.is_empty())),
        Page::Unknown => None,
    };
    Some(Ci {
        system: system.name.to_owned(),
        name: (!names.is_empty()).then(|| names.join(" · ")),
        branch: first(system.branch),
        commit: first(system.commit),
        url: page.and_then(|page| safe_link(&page)),
    })
}

/// A value without what would disturb a terminal or a mail, of bounded length.
fn tidy(value: &str) -> String {
    let line = value.lines().next().unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(MAX_VALUE).collect::<String>().trim().to_owned()
}

/// Attempts after the first have a page of their own.
fn github_page(variables: Variables<'_>) -> Option<String> {
    let run = format!(
        "{}/{}/actions/runs/{}",
        variables("GITHUB_SERVER_URL")?.trim_end_matches('/'),
        variables("GITHUB_REPOSITORY")?,
        variables("GITHUB_RUN_ID")?
    );
    match variables("GITHUB_RUN_ATTEMPT") {
        Some(attempt) if attempt != "1" => Some(format!("{run}/attempts/{attempt}")),
        _ => Some(run),
    }
}

/// Its pages (Forgejo's too) count the runs of a repository.
fn gitea_page(variables: Variables<'_>) -> Option<String> {
    Some(format!(
        "{}/{}/actions/runs/{}",
        variables("GITHUB_SERVER_URL")?.trim_end_matches('/'),
        variables("GITHUB_REPOSITORY")?,
        variables("GITHUB_RUN_NUMBER")?
    ))
}

fn azure_page(variables: Variables<'_>) -> Option<String> {
    let collection =
        variables("SYSTEM_COLLECTIONURI").or_else(|| variables("SYSTEM_TEAMFOUNDATIONCOLLECTIONURI"))?;
    Some(format!(
        "{}/{}/_build/results?buildId={}",
        collection.trim_end_matches('/'),
        variables("SYSTEM_TEAMPROJECT")?,
        variables("BUILD_BUILDID")?
    ))
}

/// A link that may stand in a mail: http or https, without the user and password that some put into
/// it, in ASCII. None where it is no such link.
pub fn safe_link(text: &str) -> Option<String> {
    if text.len() > MAX_URL {
        return None;
    }
    let mut url = Url::parse(text.trim()).ok()?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return None;
    }
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    let link = String::from(url);
    // What isn't ASCII is percent-encoded by now, or punycode.
    (link.len() <= 3 * MAX_URL && link.bytes().all(|b| b.is_ascii_graphic())).then_some(link)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)]) -> Option<Ci> {
        of(&|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    fn told(variables: &[(&str, &str)]) -> [String; 5] {
        let ci = found(variables).expect("it is a CI system");
        let text = |value: Option<String>| value.unwrap_or_default();
        [ci.system, text(ci.name), text(ci.branch), text(ci.commit), text(ci.url)]
    }

    const GITHUB: [(&str, &str); 9] = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_REPOSITORY", "alice/vit"),
        ("GITHUB_RUN_ID", "1658821493"),
        ("GITHUB_RUN_NUMBER", "31"),
        ("GITHUB_RUN_ATTEMPT", "1"),
        ("GITHUB_WORKFLOW", "nightly"),
        ("GITHUB_JOB", "train"),
        ("GITHUB_SHA", "ffac537e6cbbf934b08745a378932722df287a53"),
    ];

    /// Catches: a wrong variable, a page that doesn't exist, a pull request that is told as its merge
    /// ref (`7/merge`).
    #[test]
    fn github_is_known_and_its_page() {
        let ref_name = [("GITHUB_REF_NAME", "7/merge"), ("GITHUB_HEAD_REF", "")];
        assert_eq!(
            told(&[&GITHUB[..], &ref_name].concat()),
            [
                "GitHub Actions",
                "alice/vit · nightly · train",
                "7/merge",
                "ffac537e6cbbf934b08745a378932722df287a53",
                "https://github.com/alice/vit/actions/runs/1658821493"
            ]
        );
        let again = [("GITHUB_RUN_ATTEMPT", "2"), ("GITHUB_REF_NAME", "7/merge"), ("GITHUB_HEAD_REF", "fix")];
        let again = told(&[&again[..], &GITHUB].concat());
        assert_eq!(again[2], "fix");
        assert_eq!(again[4], "https://github.com/alice/vit/actions/runs/1658821493/attempts/2");
        let gitea = told(&[&GITHUB[..], &[("GITEA_ACTIONS", "true")]].concat());
        assert_eq!(
            (gitea[0].as_str(), gitea[4].as_str()),
            ("Gitea Actions", "https://github.com/alice/vit/actions/runs/31")
        );
    }

    /// Catches: a system whose variables are taken for another's.
    #[test]
    fn the_others_are_known() {
        assert_eq!(
            told(&[
                ("GITLAB_CI", "true"),
                ("CI_PROJECT_PATH", "vision/vit"),
                ("CI_JOB_NAME", "train"),
                ("CI_COMMIT_REF_NAME", "main"),
                ("CI_COMMIT_SHA", "1ecfd275763eff1d6b4844ea3168962458c9f27a"),
                ("CI_PIPELINE_URL", "https://gitlab.example.com/vision/vit/-/pipelines/1"),
                ("CI_JOB_URL", "https://gitlab.example.com/vision/vit/-/jobs/2"),
            ]),
            [
                "GitLab CI",
                "vision/vit · train",
                "main",
                "1ecfd275763eff1d6b4844ea3168962458c9f27a",
                "https://gitlab.example.com/vision/vit/-/jobs/2"
            ]
        );
        assert_eq!(
            told(&[
                ("JENKINS_URL", "http://ci.example.com:8080/"),
                ("JOB_NAME", "vision/训练"),
                ("BUILD_NUMBER", "153"),
                ("GIT_BRANCH", "origin/main"),
                ("BUILD_URL", "http://ci.example.com:8080/job/vision/job/%E8%AE%AD%E7%BB%83/153/"),
            ]),
            [
                "Jenkins",
                "vision/训练 · #153",
                "origin/main",
                "",
                "http://ci.example.com:8080/job/vision/job/%E8%AE%AD%E7%BB%83/153/"
            ]
        );
        assert_eq!(
            told(&[
                ("GITEE_PIPELINE_NAME", "p-1"),
                ("GITEE_PIPELINE_DISPLAY_NAME", "夜间训练"),
                ("GITEE_PIPELINE_BUILD_NUMBER", "12"),
                ("GITEE_REPO", "vit"),
                ("GITEE_BRANCH", "master"),
                ("GITEE_COMMIT", "abc"),
            ]),
            ["Gitee Go", "vit · 夜间训练 · #12", "master", "abc", ""]
        );
        let azure = told(&[
            ("TF_BUILD", "True"),
            ("SYSTEM_COLLECTIONURI", "https://dev.azure.com/alice/"),
            ("SYSTEM_TEAMPROJECT", "computer vision"),
            ("BUILD_BUILDID", "9"),
        ]);
        assert_eq!(azure[4], "https://dev.azure.com/alice/computer%20vision/_build/results?buildId=9");
    }

    /// Catches: a plain shell that is taken for CI, a marker that says no, and values that would
    /// fill the mail.
    #[test]
    fn what_isnt_ci_is_none_and_values_are_bounded() {
        assert_eq!(found(&[]), None);
        assert_eq!(found(&[("CI", "true"), ("GITHUB_ACTIONS", "false"), ("TRAVIS", "")]), None);
        let long = "x\u{1b}\u{7}y".repeat(10_000);
        let ci = told(&[("DRONE", "true"), ("DRONE_REPO", &long), ("DRONE_BRANCH", "a\nBcc: b")]);
        assert_eq!((ci[1].chars().count(), ci[2].as_str()), (MAX_VALUE, "a"));
        assert!(!ci[1].contains('\u{1b}'));
    }

    /// Catches: a script or a password behind a link.
    #[test]
    fn only_clean_links_pass() {
        for (text, link) in [
            ("https://alice:s3cret@ci.example.com/1", Some("https://ci.example.com/1")),
            ("http://token@ci.example.com", Some("http://ci.example.com/")),
            (" https://ci.example.com/a b?q=\"<x>", Some("https://ci.example.com/a%20b?q=%22%3Cx%3E")),
            ("java\nscript:alert(1)", None),
            ("javascript://ci.example.com/%0aalert(1)", None),
            ("data:text/html,x", None),
            ("file:///etc/passwd", None),
            ("//ci.example.com/1", None),
            ("https://", None),
            ("", None),
        ] {
            assert_eq!(safe_link(text).as_deref(), link, "{text}");
        }
        assert_eq!(safe_link(&format!("https://x/{}", "a".repeat(MAX_URL))), None);
    }
}
