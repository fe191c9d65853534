//! JUnit XML: a test case per step, so that a CI system shows a campaign in its test tab.
//!
//! No uuid and no host name: the same report gives the same bytes.

use std::time::Duration;

use jiff::Timestamp;
use quick_junit::{NonSuccessKind, Property, Report as Document, TestCase, TestCaseStatus, TestSuite, XmlString};

use super::words::{self, visible};
use super::{CallReport, Report, StepOutcome, StepReport};
use crate::{
    locale::{Language, Phrase, say, translated},
    problem::Problem,
};

/// One `testsuite`, named after the plan.
pub(super) fn render(report: &Report) -> String {
    let length = Duration::from_millis(report.duration_ms());
    let mut suite = TestSuite::new(text(&report.plan.name));
    // The field, not the setter: its type lets the text be parsed without naming the crate that owns it.
    suite.timestamp = rfc3339(report.started_at).parse().ok();
    suite.set_time(length);
    suite.extra.insert("file".into(), text(&report.plan.path));
    for (name, value) in [
        ("run_id", report.run_id.as_str()),
        ("digest", &report.plan.digest),
        ("appid", &report.account.appid),
        ("account_kind", &report.account.kind),
        ("occurrence", &report.occurrence),
        ("platform", &report.platform),
        ("outcome", &report.outcome.label().in_language(Language::En)),
        ("exit_code", &report.exit_code.to_string()),
    ] {
        suite.add_property(Property::new(name, text(value)));
    }
    suite.add_test_cases(report.steps.iter().map(|step| case_of_step(report, step)));
    if report.has_own_problem() {
        // A run that was refused has no failed step, and must not pass for a green suite of skipped cases.
        suite.add_test_case(case_of_run(report));
    }

    let mut document = Document::new("qunfa");
    document.timestamp.clone_from(&suite.timestamp);
    document.set_time(length);
    document.add_test_suite(suite);
    document.to_string().expect("it is written to memory, from strings without characters that XML forbids")
}

fn case_of_step(report: &Report, step: &StepReport) -> TestCase {
    let mut case = TestCase::new(text(&step.name()), status_of_step(step));
    case.set_classname(text(&report.plan.name));
    case.set_time(Duration::from_millis(step.duration_ms));
    case.timestamp = step.started_at.and_then(|time| rfc3339(time).parse().ok());
    case.extra.insert("file".into(), text(&report.plan.path));
    case.extra.insert("line".into(), text(&step.line.to_string()));
    case.add_property(Property::new("action", text(&step.action)));
    if let Some(audience) = &step.audience {
        case.add_property(Property::new("audience", text(audience)));
    }
    if let Some(by) = step.by_hand() {
        case.add_property(Property::new("by", text(by)));
    }
    let said_of = |call: &CallReport| format!("{} {}", call.path, words::in_a_row(words::call(call)));
    let mut said: Vec<String> = step.calls.iter().map(said_of).collect();
    if step.outcome == StepOutcome::AlreadyDone {
        said.insert(0, words::already_done().to_string());
    }
    for job in &step.delivery {
        said.extend(std::iter::once(job.summary()).chain(job.details()).map(|line| line.to_string()));
    }
    if !said.is_empty() {
        case.set_system_out(text(&said.join("\n")));
    }
    case
}

fn status_of_step(step: &StepReport) -> TestCaseStatus {
    let mut status = match step.outcome {
        StepOutcome::Succeeded | StepOutcome::AlreadyDone => return TestCaseStatus::success(),
        StepOutcome::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
        StepOutcome::Unknown => TestCaseStatus::non_success(NonSuccessKind::Error),
        StepOutcome::Skipped | StepOutcome::NotRun => TestCaseStatus::skipped(),
    };
    let message = match (&step.error, step.outcome) {
        (Some(problem), _) => problem.message.clone(),
        (None, StepOutcome::Skipped) => say!("skipped: `when` is false, or the step was not selected"),
        (None, StepOutcome::NotRun) => say!("not run: the run stopped before it"),
        (None, outcome) => outcome.label(),
    };
    status.set_message(text(&message.to_string()));
    status.set_type(kind(step.errcode(), &step.outcome.label()));
    if step.outcome.is_bad() {
        status.set_description(text(&description(&message, step.error.as_ref(), step.rid())));
    }
    status
}

/// What programs sort by, so it is the same in every language.
fn kind(errcode: Option<i64>, outcome: &Phrase) -> String {
    errcode.map_or_else(|| outcome.in_language(Language::En), |errcode| errcode.to_string())
}

fn case_of_run(report: &Report) -> TestCase {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    let errcode = report.error.as_ref().and_then(|problem| problem.errcode);
    let message = report.own_problem();
    status.set_message(text(&message.to_string())).set_type(kind(errcode, &report.outcome.label()));
    status.set_description(text(&description(&message, report.error.as_ref(), None)));
    let mut case = TestCase::new(translated("(run)"), status);
    case.set_classname(text(&report.plan.name));
    case.extra.insert("file".into(), text(&report.plan.path));
    case.extra.insert("line".into(), text("1"));
    case
}

/// Many CI systems show the text of a failure and hide its attributes, so it repeats them.
fn description(message: &Phrase, problem: Option<&Problem>, rid: Option<&str>) -> String {
    let mut lines = vec![message.to_string()];
    if let Some(problem) = problem {
        lines.extend(problem.errcode.map(|errcode| format!("errcode: {errcode}")));
    }
    lines.extend(rid.map(|rid| format!("rid: {rid}")));
    if let Some(problem) = problem {
        lines.extend(problem.help.iter().map(|help| say!("help: {help}", help).to_string()));
    }
    lines.join("\n")
}

fn rfc3339(time: Timestamp) -> String {
    time.to_string()
}

/// Marks what XML cannot hold, which the crate would drop without a trace.
fn text(text: &str) -> XmlString {
    XmlString::new(visible(text))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{empty, fixture, refused};
    use super::*;

    fn read_back(report: &Report) -> Document {
        Document::deserialize_from_str(&render(report)).expect("it is JUnit XML")
    }

    #[test]
    fn reads_back_with_the_totals_of_the_report() {
        let document = read_back(&fixture());
        assert_eq!((document.tests, document.failures, document.errors, document.skipped), (9, 1, 1, 2));
        let suite = &document.test_suites[0];
        assert_eq!(suite.name.as_str(), "spring-tea");
        let names: Vec<_> = suite.test_cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names[3..5], ["city[北京]", "city[上海|<浦东>]"]);
        assert!(suite.timestamp.is_some() && suite.test_cases[0].timestamp.is_some());
    }

    #[test]
    fn a_run_without_a_bad_step_is_not_green() {
        let document = read_back(&refused());
        assert_eq!(document.errors, 1);
        assert_eq!(document.test_suites[0].test_cases.last().expect("it has one").name.as_str(), "(run)");
        assert_eq!(read_back(&empty()).errors, 0);
    }

    #[test]
    fn characters_that_xml_forbids_are_marked() {
        let mut report = fixture();
        report.steps[0].id = "a\u{1b}b\u{ffff}".to_owned();
        assert_eq!(read_back(&report).test_suites[0].test_cases[0].name.as_str(), "a\u{fffd}b\u{fffd}");
    }
}
