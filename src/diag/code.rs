//! ALL codes of our own diagnostics, for the author of a plan. `qunfa explain CODE` prints them.
//!
//! Q1 reading, Q2 schema, Q3 references, Q4 limits, Q5 templates, Q6 files and variables, Q7 audiences,
//! Q8 accounts and secrets, Q9 warnings. Of articles: A1 themes, A2 markup, A3 images, A4 limits.

use super::Severity;

#[derive(Debug)]
pub struct Info {
    /// `Q201`.
    pub id: &'static str,
    /// `unknown-key`.
    pub name: &'static str,
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
            pub const ALL: &[Code] = &[$(Code::$variant,)*];

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
        "The plan is nested too deeply, has too many steps, its aliases expand to too much, or its articles and pictures are more work than one run should have. Split it, or write it out."
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
    PrivateFile "Q608" "private-file" Error false
        "A path of the plan names what is no content: something hidden (a name on the path, or on that to which a link leads, begins with a dot), the state store, the file of the account's secret, or a private key. Its bytes would reach followers, dry runs and logs."
    BadOpenid "Q701" "bad-openid" Error false
        "An openid consists of letters, digits, - and _ only. A stray character makes WeChat refuse the whole call (40003)."
    AudienceTooSmall "Q702" "audience-too-small" Error false
        "A send to openids needs at least two different ones (40130)."
    LiteralSecret "Q801" "literal-secret" Error false
        "A secret stands in the plan itself, and so in git. Give it as { env: NAME }, { file: PATH } or { command: [argv...] }. If it was committed, reset it in the console."
    NoCredential "Q802" "no-credential" Error false
        "The account has neither `secret` nor `access_token`, or both; a run needs exactly one."
    SecretAsVariable "Q803" "secret-as-variable" Error false
        "The plan lets templates read the environment variable that holds the secret of its account: one `{{ env.NAME }}` would show the secret to followers, and in every dry run. Remove the name from `env`."
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
    ThemeSyntax "A101" "theme-syntax" Error false
        "The theme is not CSS as themes use it: rules of the form `selector { property: value; }`, with comments between them."
    ThemeAtRule "A102" "theme-at-rule" Error false
        "A theme has no @rules. WeChat takes no stylesheet, only `style` attributes, and those cannot hold `@media`, `@font-face` or `@import`."
    ThemeSelector "A103" "theme-selector" Error false
        "Selectors of a theme are tag names and the hooks of the article (`.code-block`, `.quote`, ...), one or several with spaces between them. Ids, other classes, pseudo-elements and `>` stand for nothing in an article: its styles are written into each element."
    ThemeProperty "A104" "theme-property" Error false
        "WeChat drops this CSS property, or it is not known to survive; one such declaration can take the whole `style` attribute with it. Leave it out."
    ThemeValue "A105" "theme-value" Error false
        "WeChat drops values of this kind (calc(), gradients, url(), !important, ...), often together with the whole `style` attribute. Write a plain length, colour or keyword."
    ThemeVariable "A106" "theme-variable" Error false
        "A `var()` names no custom property of `:root`, or properties that name each other in a circle. Variables are put in while the article is built, as WeChat does not know them."
    ThemeFont "A107" "theme-font" Error false
        "A font family that is neither quoted nor one of the usual names makes WeChat drop the style. Quote it, use a common one, or set none: the phone's own font is the most readable."
    ThemeContrast "A108" "theme-contrast" Error false
        "A background without a text colour: in dark mode WeChat changes one and not the other, and the text can become unreadable. Set both in the same rule."
    MarkupTag "A201" "tag-not-allowed" Error false
        "WeChat removes this tag, or it is not known to survive the editor. Only the tags of the rules (src/content/article/rules.json) may be used in an article; everything else would be lost without a word."
    MarkupAttribute "A202" "attribute-not-allowed" Error false
        "WeChat removes this attribute (`id`, `class`, `data-*`, `on*`, ...), or it has no effect in an article. Style elements with a theme or a `style` attribute."
    UnknownLanguage "A203" "unknown-language" Warning false
        "No grammar is known for the language of this code block, so it is shown in one colour. Correct the name, or write `text`."
    UnbalancedTag "A204" "unbalanced-tag" Error false
        "A tag is not closed, closes nothing, or is closed in the wrong order. WeChat would repair it in its own way and could lose text. Inside Markdown a tag must be closed in the same paragraph, list item or quote in which it was opened."
    MisplacedTag "A205" "misplaced-tag" Error false
        "The tag cannot stand here: a block inside a paragraph, a list item outside of a list, a cell outside of a row. WeChat would move it."
    MarkupStyle "A206" "style-not-allowed" Error false
        "A `style` attribute holds something that WeChat drops; often the whole attribute goes with it."
    MathUnsupported "A207" "math" Error false
        "WeChat shows TeX as it is written. Draw the formula, and put the picture beside the article."
    DiagramUnsupported "A208" "diagram" Error false
        "WeChat cannot draw diagrams from text. Draw it, and put the picture beside the article."
    DeepList "A209" "deep-list" Warning false
        "A list is nested more than four levels deep. On a phone hardly any width is left for its text."
    ExternalLink "A210" "external-link" Error false
        "The article may have no external links (`links: error`). In WeChat they cannot be tapped, and some accounts get error 64562 for them; only links to mp.weixin.qq.com work."
    DeadLink "A211" "dead-link" Error false
        "The link leads nowhere in WeChat: anchors lose their target because every `id` is removed, relative addresses have no site to belong to, and scripts are removed."
    BadLintAllow "A212" "bad-lint-allow" Error false
        "The comment should be `<!-- lint-allow CODE reason -->`: the code of a warning, and why it does not matter here. Errors cannot be silenced."
    ArticleTooDeep "A213" "article-too-deep" Error false
        "The article is nested deeper than any reader can follow (quotes, lists or tags inside one another)."
    BadHtml "A214" "bad-html" Error false
        "The HTML cannot be read without guessing: a `<` that begins no tag, a comment or tag without an end, an attribute given twice, a doctype. Write `&lt;` for a plain `<`."
    LostText "A215" "lost-text" Error false
        "Markdown would drop this text without a word: a cell beyond the columns of its table, or a footnote that nothing refers to."
    UndefinedFootnote "A216" "undefined-footnote" Warning false
        "There is no note of that name, so the reference is shown as it is written."
    UnusedLintAllow "A217" "lint-allow-unused" Warning false
        "A comment silences a warning that is not there. Remove it: it would hide the next one."
    ExternalImage "A301" "external-image" Error false
        "WeChat filters pictures from other sites and pictures inside the text (`data:`); only uploaded ones are shown. Save the picture beside the article and name its file: it is uploaded for you."
    ImagePath "A302" "image-path" Error false
        "The path of a picture is relative to the article, with `/` between folders."
    ImageFormat "A303" "image-format" Error false
        "Pictures in an article are JPEG or PNG; WeChat refuses others (40005). Convert the picture."
    ImageAlt "A304" "image-without-text" Warning false
        "The picture has no text for those who cannot see it, or while it loads. Describe it: `![what it shows](picture.png)`."
    ArticleText "A401" "article-too-long" Error false
        "WeChat takes fewer than 20,000 characters of content. This article has as many in visible text alone. Split it."
    ArticleBytes "A402" "article-too-large" Error false
        "WeChat takes less than 1 MiB of content. Split the article, or use a theme with fewer styles."
    ArticleHtml "A403" "article-html-long" Warning false
        "WeChat takes fewer than 20,000 characters of content, and does not say whether tags and styles count. With them, this article has more: it may be refused (45002)."
    ArticleHtmlNearly "A404" "article-html-nearly" Warning false
        "With its tags and styles, the article is near the 20,000 characters that WeChat takes. A little more text could have it refused (45002)."
    ArticleEmpty "A405" "article-empty" Error false
        "The article has no text and no picture. WeChat refuses empty content (44004)."
    ArticleField "A406" "article-field" Error false
        "A field of an article is missing or does not fit: a title of 1 to 32 characters, a cover, an author of at most 16, a digest of at most 120 (and only for a single article), a source_url of at most 1,024 bytes, crops as X1_Y1_X2_Y2 of 0 to 1."
    MediaEmpty "A305" "file-empty" Error false
        "A file that is to be uploaded is empty."
    MediaType "A306" "file-type" Error false
        "A file is not of a type that WeChat takes there. Its first bytes count, not its name: pictures of an article are jpg or png; covers and permanent pictures may be gif or bmp too."
    MediaSize "A307" "file-size" Error false
        "A file is too large: a picture of an article has less than 1 MiB, permanent pictures and videos at most 10 MiB, recordings 2 MiB, thumbnails 64 KiB."
    MediaDamaged "A308" "file-damaged" Error false
        "A picture is cut off or damaged: it has no width and height, or does not end as pictures of its kind do. Export it again."
    MediaDimensions "A309" "picture-dimensions" Error false
        "A picture has more than 100 million pixels, or a side of more than 32,767, or more than 25 million pixels where `optimize` is to read them. Phones show none of that. Make it smaller: an article is at most 1,080 pixels wide on a phone."
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
