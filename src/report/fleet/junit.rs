//! JUnit XML: a test case per account, for the test tab of a CI system.

use quick_junit::{NonSuccessKind, Property, Report as Document, TestCase, TestCaseStatus, TestSuite, XmlString};

use super::{super::words::visible, AccountReport, FleetReport, Standing};
use crate::locale::{Language, say};

pub(super) fn render(report: &FleetReport) -> String {
    let mut suite = TestSuite::new(text(&report.plan));
    suite.extra.insert("file".into(), text(&report.fleet));
    let code = report.exit_code.to_string();
    for (name, value) in
        [("occurrence", report.occurrence.as_str()), ("platform", &report.platform), ("exit_code", &code)]
    {
        suite.add_property(Property::new(name, text(value)));
    }
    suite.add_test_cases(report.accounts.iter().map(|account| case(report, account)));
    let mut document = Document::new("qunfa");
    document.add_test_suite(suite);
    document.to_string().expect("it is written to memory, from strings without characters that XML forbids")
}

fn case(report: &FleetReport, account: &AccountReport) -> TestCase {
    let mut status = match account.standing {
        Standing::Succeeded => TestCaseStatus::success(),
        Standing::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Standing::Unknown => TestCaseStatus::non_success(NonSuccessKind::Error),
        Standing::Running | Standing::NotBegun => TestCaseStatus::skipped(),
    };
    if account.standing != Standing::Succeeded {
        let said = say!("{standing}: {what}", standing = account.standing.label(), what = account.words()).to_string();
        status.set_message(text(&said));
        // What programs sort by is the same in every language.
        status.set_type(account.standing.label().in_language(Language::En));
        if account.standing.is_bad() {
            let lines = [said, account.again_reason.to_string()].into_iter().chain(account.commands.iter().cloned());
            status.set_description(text(&lines.collect::<Vec<_>>().join("\n")));
        }
    }
    let mut case = TestCase::new(text(&account.name), status);
    case.set_classname(text(&report.plan));
    case.extra.insert("file".into(), text(&report.fleet));
    case.add_property(Property::new("appid", text(&account.appid)));
    case.add_property(Property::new("wave", text(&account.wave.to_string())));
    if let Some(id) = &account.run_id {
        case.add_property(Property::new("run_id", text(id)));
    }
    case
}

fn text(text: &str) -> XmlString {
    XmlString::new(visible(text))
}
