//! ALL codes of our own diagnostics, for the author of a plan. `qunfa explain CODE` prints them.
//!
//! Q1 reading, Q2 schema, Q3 references, Q4 limits, Q5 templates, Q6 files and variables, Q7 audiences,
//! Q8 accounts and secrets, Q9 warnings.

use super::Severity;

/// What a code means.
#[derive(Debug)]
pub struct Info {
    /// `Q201`.
    pub id: &'static str,
    /// `unknown-key`.
    pub name: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// An input is missing or unreadable (exit code 4), rather than the plan being wrong (3).
    pub missing_input: bool,
    /// Why it is a problem, and what to do.
    pub explanation: &'static str,
}

macro_rules! codes {
    ($($variant:ident $id:literal $name:literal $severity:ident $missing:literal $explanation:literal)*) => {
        /// A stable code. The numbers never change their meaning; new ones are added.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $(#[doc = $name] $variant,)* }

        impl Code {
            /// Every code.
            pub const ALL: &[Code] = &[$(Code::$variant,)*];

            /// What it means.
            pub fn info(self) -> &'static Info {
                match self {
                    $(Code::$variant => &Info {
                        id: $id, name: $name, severity: Severity::$severity, missing_input: $missing, explanation: $explanation,
                    },)*
                }
            }
        }
    };
}

codes! {
    YamlSyntax "Q101" "yaml-syntax" Error false
        "The plan is not YAML. Often the cause is a tab (YAML indents with spaces), a missing quote, or a line that is indented by one space too many or too few."
    NotUtf8 "Q102" "not-utf8" Error false
        "Plans, content and data files are UTF-8. Convert the file, for example with `iconv -f GB18030 -t UTF-8`."
    ControlCharacter "Q103" "control-character" Error false
        "The text holds a control character (such as NUL or escape) or a Unicode noncharacter. It would reach every follower. Remove it."
    EmptyPlan "Q104" "empty-plan" Error false
        "The plan is empty, or holds only comments. A plan needs at least `version`, `name`, `account` and `steps`."
    DuplicateKey "Q105" "duplicate-key" Error false
        "The same key stands twice in one mapping; which one counts would be a guess. Remove one."
    TooComplex "Q106" "too-complex" Error false
        "The plan is nested too deeply, has too many steps, or its aliases expand to too much. Split it, or write it out."
    UnsupportedYaml "Q107" "unsupported-yaml" Error false
        "YAML has features that a reviewer cannot read at a glance: tags, merge keys (`<<`), several documents in one file, keys that are not words. A plan does without them."
    UnknownKey "Q201" "unknown-key" Error false
        "There is no such key here. A mistyped key would silently change what is sent, so it is an error."
    MissingKey "Q202" "missing-key" Error false
        "A key that must be there is missing."
    WrongType "Q203" "wrong-type" Error false
        "The value is of another type than the key asks for."
    NotAllowed "Q204" "value-not-allowed" Error false
        "The value is not one of those allowed here."
    BadFormat "Q205" "bad-format" Error false
        "The text does not have the form that is asked for."
    OutOfRange "Q206" "out-of-range" Error false
        "The number, list or text is smaller or larger than allowed."
    ExactlyOne "Q207" "exactly-one" Error false
        "Exactly one of several keys must be given here."
    DuplicateId "Q301" "duplicate-id" Error false
        "Two steps have the same `id`. The id is part of the idempotency key: two sends with one id could not be told apart."
    UnknownStep "Q302" "unknown-step" Error false
        "No step of this plan has that id."
    LaterStep "Q303" "later-step" Error false
        "A step can only refer to steps before it: steps run in the order of the file."
    WrongStep "Q304" "wrong-step" Error false
        "The step that is referred to is of another kind: `check` and `delete` need a send."
    UnknownOutput "Q305" "unknown-output" Error false
        "The step has no such output."
    CannotDelete "Q306" "cannot-delete" Error false
        "WeChat can delete only articles (`mpnews`) and videos (`mpvideo`) after they were sent; text, pictures and voice cannot be taken back."
    DuplicateInstance "Q307" "duplicate-foreach-key" Error false
        "Two rows of a `foreach` give the same `key`. The key is part of the idempotency key: two sends with one key could not be told apart."
    AccountKind "Q308" "account-kind" Error false
        "Accounts of this kind may not use this action: `mass/send` (a list of openids) is for service accounts only."
    TextTooLong "Q401" "text-too-long" Error false
        "The text is far longer than WeChat was ever seen to take (error 45002). Shorten it, or send an article."
    EmptyText "Q402" "empty-text" Error false
        "The rendered text is empty. WeChat refuses it (44004), and a follower should not get it."
    TooManyImages "Q403" "too-many-images" Error false
        "A preview takes one picture, a send at most 20."
    StagingLink "Q404" "staging-link" Error false
        "The text leads followers to a host that the plan lists under `lint.staging_hosts`. Put the address in with a variable that is different for staging and for production."
    TemplateSyntax "Q501" "template-syntax" Error false
        "The template cannot be parsed."
    UndefinedName "Q502" "undefined-name" Error false
        "The template uses a name that does not exist. In scope are vars, env (the variables listed under `env`), row (inside foreach), account, run, and steps (outputs of earlier steps)."
    TemplateFailed "Q503" "template-failed" Error false
        "The template cannot be rendered: a filter or function that does not exist, or one used on the wrong kind of value."
    TemplateFuel "Q504" "template-too-much-work" Error false
        "The template does more work than any message needs (for example an endless loop), and was stopped."
    RuntimeValue "Q505" "run-time-value" Error false
        "The outputs of steps, `run.id` and `run.time` are known only while the plan runs. They can be put in with {{ steps.ID.OUTPUT }}, but not computed with: a dry run could not show what would be sent. (`when` may compute with them.)"
    BadRendered "Q506" "bad-rendered-value" Error false
        "The template is fine, but what it renders to does not fit the key: a tag id must be a number, for example."
    NotText "Q507" "not-text" Error false
        "The template puts a value into text that is not text or a number (true, none, a list or a mapping); followers would see `True` or `None`. Choose the words with an `if`, or use a filter."
    FileUnreadable "Q601" "file-unreadable" Error true
        "A file that the plan names is not there or cannot be read. Paths are relative to the file that names them."
    PathEscapes "Q602" "path-leaves-project" Error false
        "A path of the plan leads out of the project (the nearest folder upwards with .git, else the plan's folder), directly or through a link. A plan may read only what is reviewed with it."
    FileTooLarge "Q603" "file-too-large" Error false
        "The file is larger than any file of its kind needs to be."
    BadData "Q604" "bad-data" Error false
        "A data file cannot be parsed, has no rows, or has rows of different length."
    UnknownColumn "Q605" "unknown-column" Error false
        "The file has no such column."
    EnvMissing "Q606" "variable-missing" Error true
        "An environment variable that the plan needs is not set."
    BadVar "Q607" "bad-variable" Error false
        "A variable from --var or --vars-file cannot be used: it has no `=`, is no mapping, or holds control characters."
    BadOpenid "Q701" "bad-openid" Error false
        "An openid consists of letters, digits, - and _ only. A stray character makes WeChat refuse the whole call (40003)."
    AudienceTooSmall "Q702" "audience-too-small" Error false
        "A send to openids needs at least two different ones (40130)."
    LiteralSecret "Q801" "literal-secret" Error false
        "A secret stands in the plan itself, and so in git. Give it as { env: NAME }, { file: PATH } or { command: [argv...] }. If it was committed, reset it in the console."
    NoCredential "Q802" "no-credential" Error false
        "The account has neither `secret` nor `access_token`, or both; a run needs exactly one."
    DiscontinuedCard "Q901" "card-discontinued" Warning false
        "WeChat has discontinued sending cards (45113). The call will most likely be refused."
    IgnoredSetting "Q902" "setting-without-effect" Warning false
        "The setting has no effect here."
    LongText "Q903" "long-text" Warning false
        "WeChat does not document how long a mass text may be. A text of 293 Chinese characters was refused once (45002). Keep it short, and try it with a preview."
    DuplicateOpenids "Q904" "duplicate-openids" Warning false
        "The audience names some people more than once; each gets the message once."
    AudienceLost "Q905" "audience-lost" Warning false
        "A file of people is gone, and an earlier run began this send with it. The ledger kept the people, so the send goes on with exactly those."
    LeftoverTemplate "Q906" "leftover-template" Warning false
        "The rendered text still holds the marks of a template. Often a value holds a template itself: values are put in as they are, and not rendered again."
    TestWords "Q907" "test-words" Warning false
        "The text holds words that mark a draft or a test (TODO, FIXME, lorem ipsum, 测试 in brackets, or a text of nothing but such a word). Followers would read them."
    InsecureLink "Q908" "insecure-link" Warning false
        "The text holds a link without https. Phones may warn about it, and anybody on the way can change what it shows."
}

impl Code {
    /// `Q201` or `unknown-key` to its code, whatever the case.
    pub fn find(text: &str) -> Option<Code> {
        let text = text.to_lowercase();
        Self::ALL.iter().copied().find(|code| code.info().id.to_lowercase() == text || code.info().name == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_found() {
        let ids: std::collections::BTreeSet<_> = Code::ALL.iter().map(|code| code.info().id).collect();
        let names: std::collections::BTreeSet<_> = Code::ALL.iter().map(|code| code.info().name).collect();
        assert_eq!((ids.len(), names.len()), (Code::ALL.len(), Code::ALL.len()));
        assert_eq!(Code::find("q201"), Some(Code::UnknownKey));
        assert_eq!(Code::find("unknown-key"), Some(Code::UnknownKey));
        assert_eq!(Code::find("Q999"), None);
    }
}
