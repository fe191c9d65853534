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
        "The plan is not valid YAML. Common causes are a tab (YAML indents with spaces), a missing quote, or a line that is indented one space too many or too few."
    NotUtf8 "Q102" "not-utf8" Error false
        "Plans, content and data files must be UTF-8. Convert the file, for example with `iconv -f GB18030 -t UTF-8`."
    ControlCharacter "Q103" "control-character" Error false
        "The text contains a control character (such as NUL, escape or U+0085), a bidirectional control, which turns the direction in which the text is read, or a Unicode noncharacter. Remove it."
    EmptyPlan "Q104" "empty-plan" Error false
        "The plan is empty or contains only comments. A plan needs at least `version`, `name`, `account` and `steps`."
    DuplicateKey "Q105" "duplicate-key" Error false
        "The same key appears twice in a mapping, so its value is ambiguous. Remove one."
    TooComplex "Q106" "too-complex" Error false
        "The plan is nested too deeply, has too many steps, its aliases expand to too much, or its articles and pictures are too much work for one run. Split the plan, or write the aliases out."
    UnsupportedYaml "Q107" "unsupported-yaml" Error false
        "Plans do not support YAML features that are hard to review: tags, merge keys (`<<`), several documents in one file, keys that are not plain text."
    TooBusy "Q108" "too-busy" Error false
        "Reading and rendering the plan takes more CPU time or memory than any plan needs (10 seconds, 1 GiB), so it was stopped. Split the plan, its data or its audiences."
    TooManyProblems "Q109" "too-many-problems" Error false
        "The plan has more than 999 errors, and the others are not shown. Fix those that are shown first; often one mistake is repeated."
    UnknownKey "Q201" "unknown-key" Error false
        "This key does not exist here. A mistyped key could silently change what is sent, so it is an error."
    MissingKey "Q202" "missing-key" Error false
        "A required key is missing."
    WrongType "Q203" "wrong-type" Error false
        "The value has the wrong type."
    NotAllowed "Q204" "value-not-allowed" Error false
        "The value is not allowed here."
    BadFormat "Q205" "bad-format" Error false
        "The text has the wrong format."
    OutOfRange "Q206" "out-of-range" Error false
        "The number, list or text is too small, too large or empty."
    ExactlyOne "Q207" "exactly-one" Error false
        "Exactly one of these keys is required."
    DuplicateId "Q301" "duplicate-id" Error false
        "Two steps have the same `id`. The id is part of the idempotency key: two sends with the same id could not be distinguished."
    UnknownStep "Q302" "unknown-step" Error false
        "The plan has no step with this id."
    LaterStep "Q303" "later-step" Error false
        "A step can refer only to earlier steps, because steps run in the order of the file."
    WrongStep "Q304" "wrong-step" Error false
        "The referenced step is not a send: `check` and `delete` need one."
    UnknownOutput "Q305" "unknown-output" Error false
        "The step does not have this output."
    CannotDelete "Q306" "cannot-delete" Error false
        "WeChat can delete only sent articles (`mpnews`) and videos (`mpvideo`), not text, pictures or voice. The message card stays with those who got it; only the body can no longer be opened."
    DuplicateInstance "Q307" "duplicate-foreach-key" Error false
        "Two rows of a `foreach` have the same `key`. The key is part of the idempotency key: two sends with the same key could not be distinguished."
    AccountKind "Q308" "account-kind" Error false
        "This kind of account cannot use this action: only service accounts can send to a list of openids (`mass/send`)."
    DuplicateAccount "Q309" "duplicate-account" Error false
        "Two accounts of a fleet have the same name or AppID. Commands know an account by its name, and one AppID would receive everything twice."
    UnknownAccount "Q310" "unknown-account" Error false
        "The fleet has no account with this name."
    WaveOfAccount "Q311" "wave-of-account" Error false
        "Each account of a fleet belongs to exactly one wave: it sends after all accounts of earlier waves."
    FleetEditions "Q312" "fleet-editions" Error false
        "The accounts of a fleet run the same edition: `occurrence` must be the same for all of them, or waves could not wait for each other."
    DraftConsumed "Q313" "draft-consumed" Error false
        "An earlier step publishes the draft that this step sends, previews or publishes. A published draft is used up: WeChat would answer 40007. Put the step before the publication, or create a draft for each."
    TextTooLong "Q401" "text-too-long" Error false
        "The text is far longer than any text WeChat is known to accept (error 45002). Shorten it, or send an article."
    EmptyText "Q402" "empty-text" Error false
        "The rendered text is empty. WeChat refuses it (44004)."
    TooManyImages "Q403" "too-many-images" Error false
        "A preview can have one picture, a send at most 20."
    StagingLink "Q404" "staging-link" Error false
        "The text leads followers to a host that the plan lists under `lint.staging_hosts`. Use a variable with different values for staging and production."
    ForbiddenWord "Q405" "forbidden-word" Error false
        "The text contains a word that the plan lists under `lint.forbidden`, outside of the phrases under `lint.allow`."
    BrokenLink "Q406" "broken-link" Error false
        "A link cannot work: its host is not one, its quotes are Chinese, or its address is not one that WeChat opens."
    TemplateSyntax "Q501" "template-syntax" Error false
        "The template cannot be parsed."
    UndefinedName "Q502" "undefined-name" Error false
        "The template uses a name that does not exist. Available are vars, env (the variables listed under `env`), row (inside foreach), account, run, and steps (outputs of earlier steps)."
    TemplateFailed "Q503" "template-failed" Error false
        "The template cannot be rendered: a filter or function does not exist, or was used on the wrong type of value."
    TemplateFuel "Q504" "template-too-much-work" Error false
        "The template was stopped because it did too much work, for example in an endless loop."
    RuntimeValue "Q505" "run-time-value" Error false
        "The outputs of steps, `run.id` and `run.time` are known only while the plan runs. You can insert them with {{ steps.ID.OUTPUT }}, but not compute with them, because a dry run could not show the result. (`when` can compute with them.)"
    BadRendered "Q506" "bad-rendered-value" Error false
        "The template renders to a value that the key does not accept; for example, a tag id must be a number."
    NotText "Q507" "not-text" Error false
        "The template inserts a value that is neither text nor a number (true, none, a list or a mapping); followers would see `True` or `None`. Use an `if` or a filter."
    NumberForm "Q508" "number-form" Error false
        "A number would not reach the text in the form that was meant: a computed number has more than ten decimals, the same number is written in two ways, or YAML reads it as another number (0x1F is 31). Put quotes around what is text, and use `number(2)` or `money` for what is computed."
    MistypedTemplate "Q509" "mistyped-template" Error false
        "The text contains a template in another form (full-width or single braces, `${...}`, `%...%`, or the bare name of a variable), which followers would read as it is. Write `{{ vars.NAME }}`."
    FileUnreadable "Q601" "file-unreadable" Error true
        "A file named in the plan does not exist or cannot be read. Paths are relative to the file that names them."
    PathEscapes "Q602" "path-leaves-project" Error false
        "A path in the plan leads out of the project (the nearest parent folder with .git, otherwise the plan's folder), directly or through a link. A plan can read only files that are reviewed with it."
    FileTooLarge "Q603" "file-too-large" Error false
        "The file is too large."
    BadData "Q604" "bad-data" Error false
        "A data file cannot be parsed, has no rows, or has rows of different lengths."
    UnknownColumn "Q605" "unknown-column" Error false
        "The file does not have this column."
    EnvMissing "Q606" "variable-missing" Error true
        "An environment variable that the plan needs is not set."
    BadVar "Q607" "bad-variable" Error false
        "A variable from --var or --vars-file cannot be used: it has no `=`, is not a mapping, or contains control characters."
    PrivateFile "Q608" "private-file" Error false
        "A path in the plan names a file that is not content: a hidden file (a name in the path, or in a link's target, starts with a dot), the state store, the file with the account's secret, or a private key. Its content would end up in messages, dry runs and logs."
    BadOpenid "Q701" "bad-openid" Error false
        "An openid is `o` and 27 more letters, digits, - and _. A phone number, a WeChat id or a stray character in its place makes WeChat refuse the whole call (40003)."
    AudienceTooSmall "Q702" "audience-too-small" Error false
        "A send to openids needs at least two different openids (40130)."
    LiteralSecret "Q801" "literal-secret" Error false
        "The plan contains a secret, which would end up in git. Write { env: NAME }, { file: PATH } or { command: [argv...] }. If the secret was committed, reset it in the console."
    NoCredential "Q802" "no-credential" Error false
        "The account needs exactly one of `access_token`, `secret` and `component`."
    SecretAsVariable "Q803" "secret-as-variable" Error false
        "The plan lets templates read the environment variable that holds the secret of its account: a single `{{ env.NAME }}` would reveal the secret to followers and in every dry run. Remove the name from `env`."
    DiscontinuedCard "Q901" "card-discontinued" Warning false
        "WeChat has discontinued sending cards (45113). The call will most likely be refused."
    IgnoredSetting "Q902" "setting-without-effect" Warning false
        "The setting has no effect here."
    LongText "Q903" "long-text" Warning false
        "The text may be too long: WeChat does not document the limit of a mass text, and refused one of 293 Chinese characters once (45002). Keep it short, and test it with a preview."
    DuplicateOpenids "Q904" "duplicate-openids" Warning false
        "Some people are listed more than once; each gets the message once."
    AudienceLost "Q905" "audience-lost" Warning false
        "The audience file is missing, but an earlier run started this send with it. The send continues with the people recorded in the ledger."
    LeftoverTemplate "Q906" "leftover-template" Warning false
        "The rendered text contains template syntax. Often a value contains a template: values are inserted as is and not rendered again."
    TestWords "Q907" "test-words" Warning false
        "The text contains draft or test words (TODO, FIXME, lorem ipsum, bracketed 测试, or only such a word) that followers would read."
    InsecureLink "Q908" "insecure-link" Warning false
        "The text contains a link without https. Phones may warn about it, and the page can be tampered with in transit."
    TooManyWarnings "Q909" "too-many-warnings" Warning false
        "The plan has more than 999 warnings, and the others are not shown. Often one mistake is repeated."
    CutShort "Q910" "cut-short" Warning false
        "A value without quotes ends before ` #`: YAML reads the rest of the line as a comment. Put quotes around the value, or the comment on a line of its own."
    HiddenCharacter "Q911" "hidden-character" Warning false
        "A character that nobody sees (a zero-width space, a byte order mark inside the text, a no-break or full-width space at the end of a value), or U+FFFD in place of a character that was lost. Names and tags with it match nothing, and followers may see a box."
    DroppedLink "Q912" "dropped-link" Warning false
        "WeChat opens only web pages and mini programs: a link to a telephone number or mail address cannot be tapped. Write the number or address in the text."
    ChineseQuotes "Q913" "chinese-quotes" Warning false
        "A value without quotes stands between Chinese quotation marks, which are part of the text: YAML knows only \" and '. Write \", or put the whole value with its marks into '...'."
    ExcludesNobody "Q921" "excludes-nobody" Warning false
        "`exclude` leaves out nobody, or an openid in it is not whole and leaves out nobody. Often it names another file than was meant, or its openids are those of another account: then people who have unsubscribed get the message."
    SentTwice "Q922" "sent-twice" Warning false
        "Two sends of the plan bring the same message to the same people: the same tag, all followers, or lists that overlap. Each of these people gets it twice."
    UnlikelyWxname "Q923" "unlikely-wxname" Warning false
        "A WeChat id (微信号) has 6 to 20 letters, digits, _ and -, and begins with a letter. WeChat will most likely refuse the preview (40003, 43004)."
    UnpinnedDraft "Q924" "draft-not-pinned" Warning false
        "A draft made in the console is sent as it is when the plan runs: whoever changes it changes what is sent, and the approved digest of the plan does not show it. `qunfa pin` writes the digest of its content into the plan."
    ThemeSyntax "A101" "theme-syntax" Error false
        "The theme is not valid: write rules of the form `selector { property: value; }`, with comments between them."
    ThemeAtRule "A102" "theme-at-rule" Error false
        "Themes cannot use @rules: WeChat accepts only `style` attributes, which cannot hold `@media`, `@font-face` or `@import`."
    ThemeSelector "A103" "theme-selector" Error false
        "Selectors of a theme are tag names and the article's hooks (`.code-block`, `.quote`, ...), one or several separated by spaces. Ids, other classes, pseudo-elements and `>` do not work, because styles are written into each element."
    ThemeProperty "A104" "theme-property" Error false
        "WeChat drops (or may drop) this CSS property, and can drop the whole `style` attribute with it. Remove it."
    ThemeValue "A105" "theme-value" Error false
        "WeChat drops values of this kind (calc(), gradients, url(), !important, ...), often together with the whole `style` attribute. Write a plain length, colour or keyword."
    ThemeVariable "A106" "theme-variable" Error false
        "A `var()` refers to an undefined or circular property in `:root`. qunfa resolves variables when it builds the article, because WeChat does not support them."
    ThemeFont "A107" "theme-font" Error false
        "A font family that is neither quoted nor one of the usual names makes WeChat drop the style. Quote it, use a common one, or set none: the phone's own font is the most readable."
    ThemeContrast "A108" "theme-contrast" Error false
        "The rule sets a background without a text colour: dark mode changes only one of them and can make the text unreadable. Set both in the same rule."
    MarkupTag "A201" "tag-not-allowed" Error false
        "WeChat strips (or may strip) this tag. Use only the tags listed in src/content/article/rules.json; everything else would silently disappear."
    MarkupAttribute "A202" "attribute-not-allowed" Error false
        "WeChat removes this attribute (`id`, `class`, `data-*`, `on*`, ...), or it has no effect in an article. Style elements with a theme or a `style` attribute."
    UnknownLanguage "A203" "unknown-language" Warning false
        "The language of this code block is unknown, so it is not highlighted. Correct the name, or write `text`."
    UnbalancedTag "A204" "unbalanced-tag" Error false
        "A tag is not closed, closes nothing, or is closed in the wrong order. WeChat would repair it in its own way and could lose text. In Markdown, close a tag in the paragraph, list item or quote in which it was opened."
    MisplacedTag "A205" "misplaced-tag" Error false
        "The tag is not allowed here: a block inside a paragraph, a list item outside a list, a cell outside a row. WeChat would move it."
    MarkupStyle "A206" "style-not-allowed" Error false
        "A `style` attribute contains something that WeChat drops, often together with the whole attribute."
    MathUnsupported "A207" "math" Error false
        "WeChat shows TeX as plain text. Add a picture of the formula next to the article."
    DiagramUnsupported "A208" "diagram" Error false
        "WeChat cannot draw diagrams from text. Add a picture of the diagram next to the article."
    DeepList "A209" "deep-list" Warning false
        "A list is nested more than four levels deep. On a phone that leaves hardly any room for the text."
    ExternalLink "A210" "external-link" Error false
        "The article may not have external links (`links: error`). In WeChat they cannot be tapped, and some accounts get error 64562 for them; only links to mp.weixin.qq.com work."
    DeadLink "A211" "dead-link" Error false
        "The link does not work in WeChat: anchors lose their target because every `id` is removed, relative addresses have no site to belong to, and scripts are removed."
    BadLintAllow "A212" "bad-lint-allow" Error false
        "The comment should be `<!-- lint-allow CODE reason -->`: the code of a warning, and why it does not matter here. Errors cannot be silenced."
    ArticleTooDeep "A213" "article-too-deep" Error false
        "The article is nested too deeply (quotes, lists or tags inside one another)."
    BadHtml "A214" "bad-html" Error false
        "The HTML is ambiguous: a `<` that starts no tag, an unclosed comment or tag, a duplicate attribute, a doctype. Write `&lt;` for a plain `<`."
    LostText "A215" "lost-text" Error false
        "Markdown would silently drop this text: a cell beyond the table's columns, or an unused footnote."
    UndefinedFootnote "A216" "undefined-footnote" Warning false
        "The footnote does not exist, so the reference appears as plain text."
    UnusedLintAllow "A217" "lint-allow-unused" Warning false
        "This `lint-allow` has no effect. Remove it, or it would hide a future warning."
    LeftoverMarkup "A218" "leftover-markup" Warning false
        "Markup that is not read, which readers see as it is written (or that is left out): a heading without a space, emphasis with spaces inside, wiki links, `[TOC]`, attributes in braces, comments of Obsidian, blocks of other programs."
    UnreadPicture "A219" "unread-picture" Error false
        "This was to be a picture and is not read as one, so readers would see its file name. Write `![description](picture.png)`; a name with spaces needs `<` and `>` around it."
    ExternalImage "A301" "external-image" Error false
        "WeChat shows only uploaded pictures, not remote or inline (`data:`) ones. Save the picture next to the article and use its file name; qunfa uploads it."
    ImagePath "A302" "image-path" Error false
        "The path of a picture must be relative to the article, with `/` between folders."
    ImageFormat "A303" "image-format" Error false
        "Pictures in an article must be JPEG or PNG; WeChat refuses others (40005). Convert the picture."
    ImageAlt "A304" "image-without-text" Warning false
        "The picture has no alt text for screen readers or while it loads. Describe it: `![what it shows](picture.png)`."
    MediaEmpty "A305" "file-empty" Error false
        "A file to upload is empty."
    MediaType "A306" "file-type" Error false
        "WeChat does not accept this file type here. The content decides, not the name: pictures of an article are jpg or png; covers and permanent pictures may also be gif or bmp."
    MediaSize "A307" "file-size" Error false
        "A file is too large: a picture of an article must be smaller than 1 MiB; permanent pictures and videos may have at most 10 MiB, recordings 2 MiB, thumbnails 64 KiB."
    MediaDamaged "A308" "file-damaged" Error false
        "A picture is cut off or damaged: it has no width and height, or its end is missing. Export it again."
    MediaDimensions "A309" "picture-dimensions" Error false
        "A picture has more than 100 million pixels (25 million if `optimize` has to read it), or a side of more than 32,767. Phones cannot show that much. Make it smaller: an article is at most 1,080 pixels wide on a phone."
    ArticleText "A401" "article-too-long" Error false
        "The visible text of the article alone has 20,000 characters or more, and WeChat accepts fewer. Split the article."
    ArticleBytes "A402" "article-too-large" Error false
        "The content of the article has 1 MiB or more, and WeChat accepts less. Split the article, or use a theme with fewer styles."
    ArticleHtml "A403" "article-html-long" Warning false
        "With its tags and styles, the article has 20,000 characters or more. WeChat accepts fewer and does not say whether tags and styles count: it may refuse the article (45002)."
    ArticleHtmlNearly "A404" "article-html-nearly" Warning false
        "With its tags and styles, the article is close to WeChat's limit of 20,000 characters. A little more text may cause WeChat to refuse it (45002)."
    ArticleEmpty "A405" "article-empty" Error false
        "The article has no text and no picture. WeChat refuses empty content (44004)."
    ArticleField "A406" "article-field" Error false
        "A field of the article is missing or invalid: a title of 1 to 32 characters, a cover, an author of at most 16, a digest of at most 120 (and only for a single article), a source_url of at most 1,024 bytes, crops as X1_Y1_X2_Y2 from 0 to 1."
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
