//! The error codes the sandbox answers, with WeChat's wording.
//!
//! Source: the [list of global return codes][codes].
//!
//! [codes]: https://developers.weixin.qq.com/doc/offiaccount/Getting_Started/Global_Return_Code.html

/// An error code and the text WeChat sends with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Errcode {
    pub code: i64,
    /// The text, before ` rid: ...` is appended.
    pub errmsg: &'static str,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(crate) errcode: Errcode,
    /// The job a duplicate points at: the only error that carries more than a text.
    pub(crate) msg_id: Option<u64>,
}

impl From<Errcode> for Refusal {
    fn from(errcode: Errcode) -> Self {
        Refusal { errcode, msg_id: None }
    }
}

macro_rules! errcodes {
    ($($name:ident = $code:literal, $errmsg:literal;)*) => {
        $(pub(super) const $name: Errcode = Errcode { code: $code, errmsg: $errmsg };)*
    };
}

errcodes! {
    REPLACED_TOKEN = 40001, "invalid credential, access_token is invalid or not latest";
    INVALID_GRANT_TYPE = 40002, "invalid grant_type";
    INVALID_PUBLISH_ID = 40002, "invalid argument";
    INVALID_OPENID = 40003, "invalid openid";
    INVALID_MEDIA_TYPE = 40004, "invalid media type";
    INVALID_FILE_TYPE = 40005, "invalid file type";
    INVALID_MEDIA_ID = 40007, "invalid media_id";
    INVALID_MESSAGE_TYPE = 40008, "invalid message type";
    INVALID_IMAGE_SIZE = 40009, "invalid image size";
    INVALID_VOICE_SIZE = 40010, "invalid voice size";
    INVALID_VIDEO_SIZE = 40011, "invalid video size";
    INVALID_THUMB_SIZE = 40012, "invalid thumb size";
    INVALID_APPID = 40013, "invalid appid";
    INVALID_TOKEN = 40014, "invalid access_token";
    INVALID_OPENID_LIST = 40031, "invalid openid list";
    INVALID_OPENID_LIST_SIZE = 40032, "invalid openid list size";
    ESCAPED_UNICODE = 40033, "invalid charset. please check your request, if include \\uxxxx will create fail!";
    INVALID_ARGS = 40035, "invalid args size";
    INVALID_MSG_ID = 40059, "invalid msg id";
    INVALID_ARTICLE_IDX = 40060, "invalid article idx";
    INVALID_MSG_STATUS = 40065, "invalid msg status";
    INVALID_INDEX = 40114, "invalid index value";
    INVALID_APPSECRET = 40125, "invalid appsecret";
    AT_LEAST_TWO_OPENIDS = 40130, "invalid openid list size, at least two openid";
    INVALID_USERNAME = 40132, "invalid username";
    INVALID_GROUP_ID = 40152, "invalid group id";
    INVALID_AUTHOR = 40192, "invalid author in news";
    INVALID_IMAGE_COUNT = 40215, "invalid image count";
    EMPTY_TITLE = 40227, "title is empty";
    MISSING_TOKEN = 41001, "access_token missing";
    MISSING_APPID = 41002, "appid missing";
    MISSING_APPSECRET = 41004, "appsecret missing";
    MISSING_MEDIA = 41005, "media data missing";
    MISSING_MEDIA_ID = 41006, "media_id missing";
    MISSING_OPENID = 41009, "missing openid";
    INVALID_SOURCE_URL = 41039, "invalid content_source_url";
    EXPIRED_TOKEN = 42001, "access_token expired";
    EXPIRED_COMPONENT_TOKEN = 42006, "component_access_token expired";
    REQUIRE_POST = 43002, "require POST method";
    EMPTY_MEDIA = 44001, "empty media data";
    EMPTY_BODY = 44002, "empty post data";
    EMPTY_NEWS = 44003, "empty news data";
    EMPTY_CONTENT = 44004, "empty content";
    CONTENT_TOO_LONG = 45002, "content size out of limit";
    TITLE_TOO_LONG = 45003, "title size out of limit";
    DIGEST_TOO_LONG = 45004, "description size out of limit";
    URL_TOO_LONG = 45005, "url size out of limit";
    PLAYTIME_TOO_LONG = 45007, "playtime out of limit";
    TOO_MANY_ARTICLES = 45008, "article size out of limit";
    DAILY_QUOTA = 45009, "reach max api daily quota limit";
    MINUTE_QUOTA = 45011, "api minute-quota reach limit, must slower, retry next minute";
    MASS_QUOTA = 45028, "has no masssend quota";
    TOO_MANY_TAGS = 45056, "too many tag now, no need to add new";
    CLIENTMSGID_EXISTS = 45065, "clientmsgid exist";
    CLIENTMSGID_TOO_FAST = 45066, "same clientmsgid retry too fast";
    CLIENTMSGID_TOO_LONG = 45067, "clientmsgid size out of limit";
    SPEED_OUT_OF_RANGE = 45083, "the speed out of range";
    MISSING_SPEED = 45084, "No speed message";
    CARD_UNSUPPORTED = 45113, "product message and card are no longer supported";
    INVALID_TAG_NAME = 45157, "invalid tag name";
    TAG_NAME_TOO_LONG = 45158, "tag name too long";
    INVALID_TAG_ID = 45159, "invalid tag id";
    INVALID_CONTENT = 45166, "invalid content";
    MALFORMED_BODY = 47001, "data format error";
    UNAUTHORIZED_API = 48001, "api unauthorized";
    API_VIDEO = 48022, "video uploaded by api can not be published by api";
    INVALID_GOODS = 53405, "invalid goods info";
    GOODS_NOT_ENABLED = 53406, "goods not enabled";
    INVALID_ARTICLE_ID = 53600, "invalid article id";
    NOT_AUTHORIZED = 61003, "component is not authorized by this account";
    INVALID_TICKET = 61006, "component ticket is invalid";
    INVALID_COMPONENT = 61011, "invalid component";
    INVALID_REFRESH_TOKEN = 61023, "refresh_token is invalid";
    DATE_FORMAT = 61500, "date format error";
    DATE_RANGE = 61501, "date range error";
    DATA_NOT_READY = 61503, "data not ready";
    UNKNOWN_CGI_PATH = 76021, "cgi_path not found, please check";
    FORBIDDEN_CGI_PATH = 76022, "could not use this cgi_path,no permission";
    NO_SUCH_ARTICLE = 88001, "article does not exist";
    ALREADY_REPLIED = 88005, "already reply";
    REPLY_LENGTH = 88007, "reply content beyond max len or content len is zero";
    NO_SUCH_COMMENT = 88008, "comment is not exists";
    WRONG_COUNT = 88010, "count range error";
}

/// The same code as [`REQUIRE_POST`], worded for the endpoints that want GET: the documents name no other.
pub(super) const REQUIRE_GET: Errcode = Errcode { code: REQUIRE_POST.code, errmsg: "require GET method" };
