//! All numbers: the platform's, each with a link to its page, and our own caps.

use std::time::Duration;

/// Largest `card_ext` of a card, in bytes: its four members have some hundred.
pub const CARD_EXT_BYTES_MAX: usize = 4 << 10;
/// Characters of an openid. No page says so, and every one that was seen has as many.
pub const OPENID_CHARS: usize = 28;
/// Fewest openids of one `mass/send`.
/// <https://developers.weixin.qq.com/doc/service/api/notify/message/api_masssend.html>
pub const OPENIDS_MIN: usize = 2;
/// Most openids of one `mass/send` (same page).
pub const OPENIDS_MAX: usize = 10_000;
/// Longest `clientmsgid` that is safe, in bytes (newest field table; older pages say 64).
/// <https://developers.weixin.qq.com/doc/service/api/notify/message/api_sendall>
pub const CLIENTMSGID_MAX: usize = 32;
/// Mass calls a minute.
/// <https://developers.weixin.qq.com/doc/service/guide/product/message/Batch_Sends.html>
pub const MASS_CALLS_PER_MINUTE: u32 = 60;
/// The window in which these are counted, and so the pause after which the limit of a minute is over (same page).
pub const MASS_CALLS_WINDOW: Duration = Duration::from_secs(60);
/// Mass calls a day of a subscription account, to all or to a tag (same page).
pub const SUBSCRIPTION_MASS_PER_DAY: usize = 1;
/// Sends a day of a service account to all of its followers (same page, as it is for service accounts).
pub const SERVICE_TO_ALL_PER_DAY: usize = 1;
/// Messages a calendar month that one follower of a service account gets, and sends to all of it (same page).
pub const SERVICE_PER_MONTH: usize = 4;
/// Previews a day.
/// <https://developers.weixin.qq.com/doc/service/api/notify/message/api_preview>
pub const PREVIEWS_PER_DAY: usize = 100;
/// Deletions a day of a new account.
/// <https://developers.weixin.qq.com/doc/service/Message_Management/API_Call_Limits.html>
pub const DELETES_PER_DAY: usize = 10;
/// Most addresses that are told how a run ended.
pub const NOTICES_MAX: usize = 10;
/// How long all of them together may take.
pub const NOTICE_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest text of a WeCom robot, in bytes. <https://developer.work.weixin.qq.com/document/path/91770>
pub const WECOM_BYTES: usize = 4096;
/// Longest text of the other robots, in bytes: bodies have at most 20,000 (DingTalk) and 20 KiB (Feishu).
/// <https://open.dingtalk.com/document/orgapp/custom-robots-send-group-messages>
/// <https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot>
pub const ROBOT_BYTES: usize = 8192;
/// Steps that went wrong and are told in a notice.
pub const NOTICE_STEPS: usize = 10;
/// The longest pause between two looks at a job that is to be deleted and is still being sent.
pub const DELETE_LOOK: Duration = Duration::from_secs(15);
/// How long it is waited for a job that is still being sent, unless somebody says how long.
pub const DELETE_WAIT: Duration = Duration::from_secs(30 * 60);
/// How long WeChat remembers a `clientmsgid` (same page as mass calls a minute).
pub const CLIENTMSGID_MEMORY: Duration = Duration::from_secs(24 * 3600);
/// An edition that the date makes does not begin so shortly before midnight.
pub const EDITION_MARGIN: Duration = Duration::from_secs(15 * 60);
/// How long after a send of yesterday's edition the same message to the same people is taken for that send.
pub const EDITION_AGAIN: jiff::SignedDuration = jiff::SignedDuration::from_hours(12);
/// Shortest pause before the same `clientmsgid` may be repeated (45066).
pub const RESEND_AFTER_MIN: Duration = Duration::from_secs(60);
/// Bytes of text that other text channels of WeChat take; none is documented for mass text, so this is a warning.
pub const TEXT_BYTES_WARN: usize = 2048;
/// Characters of mass text from which a user saw 45002.
/// <https://developers.weixin.qq.com/community/personal/oCJUswx-PvLARORuQ061iQN05hks/question>
pub const TEXT_CHARS_WARN: usize = 293;
/// Most bytes of one text, id or name that qunfa sends at all: far above anything WeChat was seen to take.
pub const TEXT_BYTES_MAX: usize = 20_480;
/// Most articles of a draft (the older page; the newer one says no number).
pub const ARTICLES_MAX: usize = 8;
/// Most pictures of an image message (the limit of `newspic` drafts).
/// <https://developers.weixin.qq.com/doc/service/api/draftbox/draftmanage/api_draft_add>
pub(crate) const IMAGES_MAX: usize = 20;
/// Longest title of an article, in characters.
/// <https://developers.weixin.qq.com/doc/service/api/draftbox/draftmanage/api_draft_add>
pub const TITLE_CHARS: usize = 32;
/// Longest author of an article, in characters (same page).
pub const AUTHOR_CHARS: usize = 16;
/// Longest digest of an article, in characters (same page; an older copy says 128).
pub const DIGEST_CHARS: usize = 120;
/// WeChat makes a digest of so many characters of the text where there is none (same page).
pub const DIGEST_MADE_CHARS: usize = 54;
/// Longest `content_source_url`, in bytes (same page).
pub const SOURCE_URL_BYTES: usize = 1024;
/// A picture of an article's body has fewer bytes than this.
/// <https://developers.weixin.qq.com/doc/service/api/material/permanent/api_uploadimage>
pub const BODY_IMAGE_BYTES: u64 = 1 << 20;
/// A permanent picture or video has at most 10 MiB.
/// <https://developers.weixin.qq.com/doc/service/api/material/permanent/api_addmaterial>
pub const MATERIAL_BYTES: u64 = (10 << 20) + 1;
/// A permanent recording has at most 2 MiB (same page).
pub const VOICE_BYTES: u64 = (2 << 20) + 1;
/// A permanent thumbnail has at most 64 KiB (same page).
pub const THUMB_BYTES: u64 = (64 << 10) + 1;
/// Longest side of a picture, in pixels; a format's own limit may be lower.
pub const IMAGE_SIDE_MAX: u32 = 32_767;
/// Most pixels of a picture: what is more is no picture for a phone, and may be made to use up memory.
pub const IMAGE_PIXELS_MAX: u64 = 100_000_000;
/// Largest picture that `optimize` reads, in bytes.
pub const OPTIMIZE_BYTES_MAX: u64 = 64 << 20;
/// Most pixels of a picture that `optimize` takes, each of four bytes: cameras of phones make 12 or 24 million.
pub const OPTIMIZE_PIXELS_MAX: u64 = 25_000_000;
/// Most work of `optimize` for one plan: pixels that are read, and [`ENCODED_PIXEL`] times those of each attempt to write.
pub const OPTIMIZE_WORK_MAX: u64 = 150_000_000;
/// Work of writing a pixel, in pixels that are read.
pub const ENCODED_PIXEL: u64 = 4;
/// Most pixels that a picture keeps: one with more is made narrower, and not tried at its own size.
pub const OPTIMIZE_KEPT_PIXELS: u64 = 4_000_000;
/// Most memory that a picture may take while it is optimized, in bytes.
pub const OPTIMIZE_ALLOC_MAX: u64 = 128 << 20;
/// Most bytes of all pictures and other media of a plan, each file counted once.
pub const MEDIA_BYTES_MAX: u64 = 512 << 20;
/// Most pictures of one page of a preview, in bytes as the page holds them; the others are not shown there.
pub const PAGE_PICTURES_BYTES_MAX: usize = 48 << 20;
/// A cached token is not used during the last part of its life.
/// <https://developers.weixin.qq.com/doc/service/api/base/api_getstableaccesstoken>
pub const TOKEN_MARGIN: Duration = Duration::from_secs(60);
/// Characters of an article's content from which WeChat refuses it; whether tags and styles count is not said.
/// <https://developers.weixin.qq.com/doc/service/api/draftbox/draftmanage/api_draft_add>
pub const ARTICLE_CHARS: usize = 20_000;
/// Characters of an article's HTML from which its author is warned: 80 % of the limit.
pub const ARTICLE_CHARS_WARN: usize = ARTICLE_CHARS / 5 * 4;
/// Bytes of an article's content from which WeChat refuses it (same page).
pub const ARTICLE_BYTES: usize = 1 << 20;

/// Deepest nesting of an article: quotes, lists, emphasis and tags together.
pub const ARTICLE_DEPTH_MAX: usize = 64;
/// Most findings of one article that are told.
pub const ARTICLE_FINDINGS_MAX: usize = 1000;
/// Most attributes of one tag that are read.
pub const TAG_ATTRIBUTES_MAX: usize = 32;
/// Deepest list of an article that is readable on a phone.
pub const ARTICLE_LIST_DEPTH: usize = 4;
/// Longest line of code that is coloured, in bytes: grammars can take very long over longer ones.
pub const CODE_LINE_COLOURED: usize = 400;
/// Most code of one article that is coloured, in bytes.
pub const CODE_COLOURED: usize = 64 << 10;
/// Lines of code that are longer, in bytes, count more than by their length: what grammars do grows faster.
pub const CODE_LINE_USUAL: usize = 80;
/// Most code of all articles of a plan that is coloured, in bytes.
pub const PLAN_CODE_COLOURED: usize = 192 << 10;
/// Longest article that is Markdown, in bytes: a dozen times the characters that WeChat takes. What is made of a byte of
/// Markdown takes some hundred bytes while it is read.
pub const MARKDOWN_BYTES_MAX: usize = 256 << 10;
/// Most cells of the tables of one article that is Markdown: a row of one letter has as many as the table has columns.
pub const TABLE_CELLS_MAX: usize = 20_000;
/// HTML of one article, in bytes, after which nothing more is written; WeChat takes half of it. A byte of text may have a style of kilobytes.
pub const ARTICLE_WRITTEN_MAX: usize = 2 * ARTICLE_BYTES;
/// So many findings are raised before those of an article that is used again are not raised again.
pub const RAISED_AGAIN_MAX: usize = 50_000;
/// Most text and HTML of all articles of a plan, in bytes; an article counts wherever it is used.
pub const ARTICLES_BYTES_MAX: usize = 32 << 20;
/// Most text of a plan's articles that is read, in bytes: what is the same in the same theme is read once.
pub const ARTICLES_READ_MAX: usize = 4 << 20;
/// Most text of a plan's articles that is made for rows, in bytes: the first text of each file, or in the plan, is not counted.
pub const ARTICLES_AGAIN_MAX: usize = 1_500_000;
/// Bytes with which each line of a text that is read counts besides its own: a paragraph may have one letter.
pub const ARTICLE_LINE_BYTES: usize = 8;
/// Bytes with which each of these counts besides its own: what the shortest one takes.
pub const CONVERSION_BYTES: usize = 256;
/// Longest front matter, in bytes.
pub const FRONT_MATTER_BYTES_MAX: usize = 16 << 10;
/// Largest theme, in bytes; those that are built in have one or two thousand.
pub const THEME_BYTES_MAX: usize = 64 << 10;
/// Most findings of one theme, or of one `style`, that are told.
pub const THEME_FINDINGS_MAX: usize = 100;
/// Deepest nesting of brackets and of `var()` in a value.
pub const THEME_DEPTH_MAX: usize = 16;
/// Most names of one selector.
pub const SELECTOR_NAMES_MAX: usize = 16;
/// Most styles that are looked at for one article: the rules of its theme, times the kinds of elements in it.
pub const STYLES_MAX: usize = 1_000_000;
/// Longest value of a theme's declaration after its variables were put in, in bytes.
pub const THEME_VALUE_MAX: usize = 1000;
/// Largest file of git that names a folder, in bytes.
pub const GIT_FILE_BYTES_MAX: u64 = 16 << 10;
/// Most work trees of a repository in which a ledger is looked for.
pub const WORK_TREES_MAX: usize = 100;
/// Largest plan, in bytes.
pub const PLAN_BYTES_MAX: u64 = 32 << 20;
/// Largest content file of a message, in bytes.
pub const CONTENT_BYTES_MAX: u64 = 1 << 20;
/// Most files in `templates/` that are read.
pub const TEMPLATE_FILES_MAX: usize = 1000;
/// Largest `foreach` data or variables file, in bytes.
pub const DATA_BYTES_MAX: u64 = 16 << 20;
/// Largest audience file, in bytes.
pub const AUDIENCE_BYTES_MAX: u64 = 1 << 30;
/// Largest secret file, or output of a secret command, in bytes.
pub const SECRET_BYTES_MAX: u64 = 64 << 10;
/// Largest file that says who holds a lock, in bytes.
pub const LOCK_BYTES_MAX: u64 = 64 << 10;
/// Largest file of tokens, in bytes; one has about 600.
pub const TOKENS_BYTES_MAX: u64 = 4 << 20;
/// Deepest nesting of a plan.
pub const YAML_DEPTH_MAX: usize = 64;
/// Most values of a plan, of an account or of a file of variables: keys, items and all in them.
pub const YAML_NODES_MAX: usize = 200_000;
/// Most values that anchors and aliases may copy.
pub const YAML_COPIED_MAX: usize = 100_000;
/// Most bytes of text that anchors and aliases may copy.
pub const YAML_COPIED_BYTES_MAX: usize = 8 << 20;
/// Words such as `secret:` that are looked at one by one in a plan to hide what follows; from the next one on all is hidden.
pub const SECRET_WORDS_MAX: usize = 10_000;
/// Steps of a plan.
pub(crate) const STEPS_MAX: usize = 20_000;
/// Instances of one `foreach`.
pub(crate) const FOREACH_MAX: usize = 10_000;
/// Jobs of a matrix of GitHub Actions.
/// <https://docs.github.com/en/actions/reference/limits>
pub(crate) const GITHUB_MATRIX_MAX: usize = 256;
/// Jobs of a `parallel:matrix` of GitLab.
/// <https://docs.gitlab.com/ci/yaml/#parallelmatrix>
pub(crate) const GITLAB_MATRIX_MAX: usize = 200;
/// Accounts of a fleet.
pub(crate) const FLEET_MAX: usize = 100_000;
/// Instances of all steps of a plan: a step without `foreach` is one.
pub const INSTANCES_MAX: usize = 50_000;
/// Calls of all steps of a plan: one `check` or `delete` makes as many as the send that it covers has rows.
pub const CALLS_MAX: usize = 100_000;
/// Cells of one file of `foreach` data, or values of its JSON.
pub const DATA_CELLS_MAX: usize = 500_000;
/// Longest line of `foreach` data as JSONL, in bytes.
pub const DATA_LINE_BYTES_MAX: usize = 1 << 20;
/// Longest line of an audience file, in bytes.
pub const AUDIENCE_LINE_BYTES_MAX: usize = 1 << 20;
/// How many times its size a packed audience file may hold besides [`UNPACKED_BYTES_FREE`]. Openids cannot be packed to half
/// of their size; a file with 25 times as much has half a kilobyte of the same words for each of them.
pub const UNPACKED_TIMES_MAX: u64 = 25;
/// Bytes that the packed audience files of a plan may hold together however small they are.
pub const UNPACKED_BYTES_FREE: u64 = 8 << 20;
/// Lines of an audience file that may be wrong before the rest is not read any more.
pub const BAD_OPENIDS_READ: usize = 1_000_000;
/// Openids to which all sends of a plan go, each counted once a send.
pub const RECIPIENTS_MAX: usize = 20_000_000;
/// Openids of sends with the same message that are compared; of more a part is.
pub const OPENIDS_COMPARED: usize = 4_000_000;
/// Bytes of audience files that are read for one plan, unpacked.
pub const AUDIENCES_BYTES_MAX: u64 = 1 << 30;
/// Bytes of audience files that may be read again, for another column or because they are too long to be kept; or so many times
/// what was read once.
pub const READ_AGAIN_BYTES: u64 = 16 << 20;
pub const READ_AGAIN_TIMES: u64 = 20;
/// Longest name of the column that holds the openids, in bytes.
pub const COLUMN_BYTES_MAX: usize = 1 << 10;
/// Bytes of all other files that are read for one plan; pictures are not counted.
pub const READ_BYTES_MAX: u64 = 128 << 20;
/// Bytes of the files in `templates/` together.
pub const TEMPLATES_BYTES_MAX: u64 = 16 << 20;
/// Work that one template may do, in minijinja's units: about an instruction, or 64 bytes of text.
pub const TEMPLATE_FUEL: u64 = 200_000;
/// Work of one template that counts once in [`PLAN_FUEL`]; what is more counts four times.
pub const TEMPLATE_FUEL_LIGHT: u64 = 200;
/// Work that most templates do not need; those that need more are begun again with [`TEMPLATE_FUEL`].
pub const TEMPLATE_FUEL_FIRST: u64 = 1_000;
/// Work that all templates of a plan may do together, each counted for each row.
pub const PLAN_FUEL: u64 = 16_000_000;
/// Text that all templates of a plan may make together, in bytes.
pub const PLAN_TEXT_BYTES: u64 = 36 << 20;
/// Work of an article of a draft besides its templates, counted for each row.
pub const ARTICLE_FUEL: u64 = 250;
/// Longest path of a file, in bytes: what Linux takes.
pub const PATH_BYTES_MAX: usize = 4 << 10;
/// Largest template, in bytes.
pub const TEMPLATE_BYTES_MAX: usize = 1 << 20;
/// Deepest nesting of one template; beyond it the parser would use up the stack.
pub const TEMPLATE_DEPTH_MAX: usize = 100;
/// Words and signs of one tag of a template: each operator of a chain nests one deeper.
pub const TEMPLATE_TAG_PARTS_MAX: usize = 5_000;
/// Hosts of `lint.staging_hosts`.
pub const STAGING_HOSTS_MAX: usize = 100;
/// Work of a run-time value that a text refers to, and of one that is wrong, counted for each row.
pub const REFERENCE_FUEL: u64 = 120;
pub const WRONG_REFERENCE_FUEL: u64 = 300;
/// Work of a problem of a field that is noted, counted for each row.
pub const PROBLEM_FUEL: u64 = 30;
/// Words that a plan forbids, and phrases that it allows.
pub const LINT_WORDS_MAX: usize = 1000;
/// Names of variables that are looked for in texts.
pub const NAMES_LOOKED_FOR: usize = 1000;
/// Characters of the text of a `newspic`. <https://developers.weixin.qq.com/doc/service/api/draftbox/draftmanage/api_draft_add>
pub const NEWSPIC_CHARS: usize = 1000;
/// Shortest side of a cover that WeChat may crop, and how many times the other may be as long (53402): seen for 1 × 1 pixels and
/// for very long ones.
pub const COVER_SIDE_MIN: u32 = 2;
pub const COVER_RATIO_MAX: u32 = 10;
/// Run-time values that one text may refer to.
pub const REFERENCES_MAX: usize = 100;
/// Tags of one template that are blocks.
pub const TEMPLATE_BLOCKS_MAX: usize = 2_000;
/// CPU time in which a plan must be read, resolved and rendered: the net below all limits that count work. A build for tests is
/// many times slower.
pub const PLAN_CPU: Duration = Duration::from_secs(if cfg!(debug_assertions) { 600 } else { 10 });
/// A plan that reads fewer bytes than this, with all of its files, is small: it must be done sooner, and in less memory.
pub const SMALL_BYTES: u64 = 1_000_000;
/// CPU time of a small one, and memory of the process, in bytes.
pub const SMALL_CPU: Duration = Duration::from_millis(if cfg!(debug_assertions) { 600_000 } else { 1_500 });
pub const SMALL_MEMORY: u64 = if cfg!(debug_assertions) { PLAN_MEMORY } else { 224 << 20 };
/// CPU time in which one template must be rendered; with all the work that it may do it takes a fiftieth of it. It is also the
/// most that all templates may take beyond [`TEMPLATE_WORK_CPU`] for their work.
pub const TEMPLATE_CPU: Duration = Duration::from_secs(if cfg!(debug_assertions) { 60 } else { 1 });
/// CPU time for each unit of work of templates: five times what it takes.
pub const TEMPLATE_WORK_CPU: Duration = Duration::from_nanos(if cfg!(debug_assertions) { 50_000 } else { 500 });
/// Memory of the process in which that must be done, in bytes.
pub const PLAN_MEMORY: u64 = 1 << 30;
/// Stack on which commands work, in bytes. What is not touched takes no memory.
pub const STACK_BYTES: usize = 512 << 20;
/// The longest text of a reply that is kept, in bytes: WeChat's own have some hundred.
pub const KEPT_BYTES: usize = 4 << 10;
/// Largest reply that is read, in bytes: a draft of eight articles that is read back, with escapes.
pub const REPLY_BYTES_MAX: u64 = 16 << 20;
/// Problems of a plan that are kept; after them the rest of the plan is not looked at.
pub const DIAGNOSTICS_KEPT: usize = 1000;
/// Longest quote of a value in a message, in characters.
pub const QUOTE_CHARS: usize = 200;
/// Longest message, in characters.
pub const MESSAGE_CHARS: usize = 2_000;
/// Names that a message lists.
pub const NAMES_SHOWN: usize = 20;
/// Steps of comparison that the search for a name that was probably meant may take.
pub const NEAR_NAME_STEPS: usize = 100_000;
/// Longest line of a file that is shown below a problem, in bytes.
pub const LINE_SHOWN: usize = 4 << 10;
/// Problems shown at once; the rest are counted.
pub const DIAGNOSTICS_SHOWN: usize = 100;
/// Difference between this machine's clock and WeChat's from which `doctor` warns.
pub const CLOCK_SKEW: Duration = Duration::from_secs(60);
/// Difference between this machine's clock and the server's (`Date`) from which no send in doubt is repeated. What is less is
/// covered by [`CLIENTMSGID_MARGIN`].
pub const CLOCK_OFF: Duration = CLIENTMSGID_MARGIN;
/// Free space where the state store is, in bytes, below which `doctor` warns.
pub const DISK_FREE_BYTES: u64 = 64 << 20;
/// Annotations of a kind that GitHub shows of one step; it drops the rest.
/// <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>
pub const ANNOTATIONS_SHOWN: usize = 10;
/// A step summary of GitHub has fewer bytes than this, or is refused whole (same page).
pub const STEP_SUMMARY_BYTES: u64 = 1 << 20;
/// Bad openids shown one by one.
pub const BAD_OPENIDS_SHOWN: usize = 20;
/// How long a secret's `command` may run.
pub const SECRET_COMMAND_TIMEOUT: Duration = Duration::from_secs(60);
/// How long an opener of pages is waited for before it is taken to have opened one.
pub const OPENER_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest wait that a plan may ask for (`timeout` of a check, backoff, pause before a repetition).
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(24 * 3600);

// Pauses and patience: ours, where neither the platform nor the plan says one.

/// Longest time that one request may take, where the plan does not say. An answer that takes longer is not waited for: of a
/// send it is then not known whether it arrived, which is dear, so this is far above what answers take.
pub const TIMEOUT: Duration = Duration::from_secs(30);
/// How often a call is made at most, where the plan does not say; with the pauses below that bridges some seconds of a busy
/// platform (-1), and no outage.
pub const ATTEMPTS: u32 = 4;
/// The first pause before a call is made again, where the plan does not say; each next one is twice as long.
pub const BACKOFF: Duration = Duration::from_secs(1);
/// The longest of these pauses, where the plan does not say: the window in which calls are counted.
pub const BACKOFF_MAX: Duration = MASS_CALLS_WINDOW;
/// Items of one page of drafts, publications or material.
/// <https://developers.weixin.qq.com/doc/subscription/api/draftbox/draftmanage/api_draft_batchget.html>
pub const PAGE_ITEMS: usize = 20;
/// Most items that a command lists: five hundred calls.
pub const LIST_ITEMS_MAX: usize = 10_000;
/// Kinds of markup that a pulled article lost and that are named.
pub const PULL_NOTED: usize = 8;
/// Characters of an address or `media_id` that a note shows.
pub const PULL_SHOWN: usize = 160;
/// Longest address of a picture that is fetched.
pub const PICTURE_ADDRESS_BYTES: usize = 2 << 10;
/// Most pictures of a draft that are fetched.
pub const PULL_PICTURES_MAX: usize = 300;
/// Most bytes of all pictures of a draft.
pub const PULL_BYTES_MAX: u64 = 128 << 20;
/// Most pages of followers that are read of one list: fifty million people.
pub const FOLLOWER_PAGES_MAX: usize = 5_000;
/// How often a token is asked for. Nothing is sent by it, so there is no harm in another try, but without one nothing runs.
pub const TOKEN_TRIES: u32 = 3;
/// Time between two questions about a send, where the plan does not say; a send is under way for some minutes.
pub const POLL_EVERY: Duration = Duration::from_secs(30);
/// Time between two questions about a publication, where the plan does not say; most are public within a minute.
pub const PUBLISH_POLL_EVERY: Duration = Duration::from_secs(10);
/// Publications a day of a new account, and deletions of such.
/// <https://developers.weixin.qq.com/doc/subscription/guide/product/publish.md>
pub const PUBLISHES_PER_DAY: usize = 100;
pub const UNPUBLISHES_PER_DAY: usize = 10;
/// Publications of a page of `freepublish/batchget`.
pub const PUBLISHED_PAGE: usize = 20;
/// Pages in which a publication is looked for: more than are published in a day.
pub const PUBLISHED_PAGES: usize = 10;
/// Longest time that a send is asked about, where the plan does not say: at the slowest speed, 100,000 people a minute, three
/// million are reached in it.
/// <https://developers.weixin.qq.com/doc/subscription/api/notify/message/api_setspeed>
pub const POLL_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// Longest time that is spent to ask about a quota: the run does not need the answer.
pub const QUOTA_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for another process that writes to the state store; a write takes milliseconds.
pub const STORE_BUSY: Duration = Duration::from_secs(10);
/// Longest time to connect to a state store that is not a file.
pub const STORE_CONNECT: Duration = Duration::from_secs(10);
/// Longest wait for its answer; also for the connection to be made again when it was lost.
pub const STORE_ANSWER: Duration = Duration::from_secs(30);
/// Longest wait for the answer that an outcome is recorded, before the connection is made again.
pub const STORE_OUTCOME: Duration = Duration::from_secs(10);
/// Longest time that a run waits to leave its report in a store whose connection was lost.
pub const STORE_LAST: Duration = Duration::from_secs(3);
/// Longest time between an intent and its call: who was suspended for longer may have lost the account to another run.
pub const INTENT_GOOD: Duration = Duration::from_secs(30);
/// The clock of a state store is taken for this machine's up to this difference; beyond it one of both is wrong.
pub const STORE_CLOCK_OFF: Duration = Duration::from_secs(300);
/// A difference that is said.
pub const STORE_CLOCK_NOTE: Duration = Duration::from_secs(2);
/// Connections that a server should have left.
pub const STORE_CONNECTIONS_LEFT: u64 = 5;
/// Pause before a lock is asked for again that was just taken, by one who has not said yet who it is.
pub const LOCK_PAUSE: Duration = Duration::from_millis(5);
/// Bytes of a file of certificates.
pub const CERTIFICATES_BYTES_MAX: u64 = 4 << 20;
/// How often it is looked whether a lock that others hold is free: a person who asks to stop does not notice the wait.
pub const LOCK_LOOK: Duration = Duration::from_millis(50);
/// How long a lock is waited for before it is said who holds it; a token is fetched in less.
pub const LOCK_SAY: Duration = Duration::from_secs(1);
/// How often a lock is asked for anew whose file is taken away meanwhile; once is rare.
pub const LOCK_TRIES: usize = 100;
/// Part of WeChat's memory for a `clientmsgid` in which it is not relied on any more: clocks differ.
pub const CLIENTMSGID_MARGIN: Duration = Duration::from_secs(5 * 60);
/// How often a wait that goes on is said again where lines do not move.
pub const WAIT_SAY: Duration = Duration::from_secs(60);
/// How long who is to read a pipe is waited for.
pub const PIPE_READER_WAIT: Duration = Duration::from_secs(2);
/// How often it is looked whether the call in flight is to be abandoned: a person who asks does not notice the wait.
pub const ABANDON_LOOK: Duration = Duration::from_millis(50);
/// Longest time that is spent to find a small difference between two texts; after it a larger one is shown.
pub const DIFF_TIME: Duration = Duration::from_secs(1);
/// Bytes of each of the two buffers of a connection: replies are a line of JSON, larger ones only take more reads.
pub const CONNECTION_BUFFER: usize = 16 << 10;

/// Lines above an error of YAML in which its cause is looked for.
pub const SLIP_LINES: usize = 30;
/// Bytes of YAML that are read again to find the cause of an error.
pub const SLIP_BYTES: usize = 4 << 20;
/// Names of a folder among which one that is near to a missing one is looked for.
pub const NEAR_FILES: usize = 2_000;
/// After so many problems no folder is looked through any more for a name that is near to a wrong one.
pub const NEAR_RAISED_MAX: usize = 100;
/// Links, and hosts, of one text of which something is told.
pub const LINKS_SHOWN: usize = 10;
/// Characters of a file that nobody sees of which is told; more are of the same origin.
pub const HIDDEN_SHOWN: usize = 20;

/// Bytes of a pushed body: an event of eight articles has some thousand, and a message of a user not many more.
pub const EVENT_BYTES_MAX: usize = 256 << 10;
/// Elements within each other in a pushed body; those of WeChat are five.
pub const EVENT_DEPTH_MAX: usize = 16;
/// Characters of an EncodingAESKey.
/// <https://developers.weixin.qq.com/doc/subscription/guide/dev/push/encryption.md>
pub const AES_KEY_CHARS: usize = 43;
/// How long who pushes waits for an answer before it closes the connection and repeats (3 attempts in all).
/// <https://developers.weixin.qq.com/doc/subscription/guide/dev/push/encryption.md>
pub const PUSH_ANSWER: Duration = Duration::from_secs(5);
/// How long the ledger may take for an event, so that there is an answer in that time.
pub const PUSH_RECORD: Duration = Duration::from_secs(4);
/// How long a request may take to arrive.
pub const PUSH_ARRIVE: Duration = Duration::from_secs(5);
/// Connections to `listen` at a time; others wait.
pub const PUSH_CONNECTIONS: usize = 256;
/// Pushes that wait for the ledger; who comes when it is full is to come again.
pub const PUSH_QUEUE: usize = 1024;
/// Bytes of the head of a request to `listen`: its path and query are a few hundred.
pub const PUSH_HEAD_BYTES: usize = 16 << 10;
/// Header lines of a request to `listen`.
pub const PUSH_HEADERS: usize = 64;
/// Longest `echostr` that is said back.
pub const ECHO_BYTES_MAX: usize = 1 << 10;
/// How often `listen` looks whether it is to stop.
pub const LISTEN_LOOK: Duration = Duration::from_millis(100);
/// Lines of `listen` that wait for who reads its output; more are not printed.
pub const PUSH_LINES: usize = 10_000;
/// Most articles of a draft.
pub const DRAFT_ARTICLES_MAX: usize = 8;
/// Drafts that are listed at a time, the most that WeChat gives.
pub const DRAFTS_PAGE: usize = 20;
/// Most pages of drafts that are read to find one by its title.
pub const DRAFT_PAGES_MAX: usize = 500;
/// Comments that are listed at a time: WeChat refuses 50 (88010).
pub const COMMENTS_PAGE: usize = 49;
/// Most comments that are listed of one article.
pub const COMMENTS_MAX: usize = 50_000;
/// Comments that are listed, where nobody says how many.
pub const COMMENTS_LISTED: usize = 200;
